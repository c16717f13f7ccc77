import * as protocol from '../../../web/src/counter/protocol.ts';
import type { Task } from '../../../web/src/counter/states.ts';
import { STATEMENTS, type Statements } from './postgres.ts';
import { SCRIPTS, type Scripts } from './redis.ts';

/** What is explored and simulated: a protocol on two stores. A planted bug replaces a part. The simulation runs the real protocol. */
export interface Subject {
  protocol: Pick<typeof protocol, 'next' | 'apply' | 'revived' | 'admits'>;
  /** How a batch begins. With fewer fail-backs left than the protocol allows, a world has fewer states. */
  visits: Task;
  statements: Statements;
  scripts: Scripts;
  /** Is Postgres probed while no task waits for it? */
  probesAlways: boolean;
  /** Does a client of Redis send an install again that was not answered? */
  resendsInstalls: boolean;
}
export const SUBJECT: Subject = {
  protocol,
  visits: { at: 'numbering', failBacks: protocol.FAIL_BACKS - 1 },
  statements: STATEMENTS,
  scripts: SCRIPTS,
  probesAlways: true,
  resendsInstalls: false,
};
