/** Postgres as the counter uses it: what each statement of postgres-store.ts does to the tables, as plain data. */
import type { Reset, Row } from '../../../web/src/counter/store.ts';

export interface Tables {
  visitors: Row;
  resets: Reset[];
}

export const emptyTables = (): Tables => ({
  visitors: { count: 0, epoch: 1, sequencer: 'redis' },
  resets: [],
});

const FULL = 2 ** 53;

/** The statements. Each carries out at once, changes the tables in place, and returns what the store answers. */
export const STATEMENTS = {
  read: ({ visitors }: Tables): Row => ({ ...visitors }),

  commit({ visitors }: Tables, epoch: number, last: number): boolean {
    if (visitors.epoch !== epoch) return false;
    visitors.count = Math.max(visitors.count, last);
    return true;
  },

  incrementInFallback({ visitors }: Tables, epoch: number, n: number): number | undefined {
    if (visitors.epoch !== epoch) return undefined;
    visitors.count = Math.min(visitors.count + n, FULL);
    return visitors.count;
  },

  failOver({ visitors }: Tables, epoch: number, n: number): Row | undefined {
    if (visitors.epoch !== epoch) return undefined;
    visitors.epoch++;
    visitors.sequencer = 'postgres';
    visitors.count = Math.min(visitors.count + n, FULL);
    return { ...visitors };
  },

  failBack({ visitors }: Tables, epoch: number): Row | undefined {
    if (visitors.epoch !== epoch) return undefined;
    visitors.epoch++;
    visitors.sequencer = 'redis';
    return { ...visitors };
  },

  reset({ visitors, resets }: Tables, epoch: number, { id, sentAt }: Reset): Row | 'repeated' | 'moved' {
    if (resets.some((other) => other.id === id || other.sentAt > sentAt)) return 'repeated';
    if (visitors.epoch !== epoch) return 'moved';
    resets.push({ id, sentAt });
    visitors.epoch++;
    visitors.sequencer = 'redis';
    visitors.count = 0;
    return { ...visitors };
  },

  ping: (_tables: Tables): void => {},
};
export type Statements = typeof STATEMENTS;
