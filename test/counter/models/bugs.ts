/**
 * Mistakes on purpose: each breaks a promise. The explorer must find the shortest way to see it, and the simulation must see those that
 * a store makes.
 */
import * as protocol from '../../../web/src/counter/protocol.ts';
import type { Size } from '../exploration/world.ts';
import { STATEMENTS, type Tables } from './postgres.ts';
import { SCRIPTS } from './redis.ts';
import { SUBJECT, type Subject } from './subject.ts';

export interface Bug {
  subject: Partial<Subject>;
  /** The smallest world that shows it. */
  size: Partial<Size>;
}

const statements = (mistake: Partial<Subject['statements']>) => ({
  statements: { ...STATEMENTS, ...mistake },
});
const scripts = (mistake: Partial<Subject['scripts']>) => ({ scripts: { ...SCRIPTS, ...mistake } });
const protocolWith = (mistake: Partial<Subject['protocol']>) => ({ protocol: { ...protocol, ...mistake } });

/** A statement that keeps the epoch where it should start a new one. */
const keeps =
  <Args extends unknown[], Answer>(statement: (tables: Tables, ...args: Args) => Answer) =>
  (tables: Tables, ...args: Args): Answer => {
    const { epoch } = tables.visitors;
    const answer = statement(tables, ...args);
    tables.visitors.epoch = epoch;
    return typeof answer === 'object' && answer !== null ? { ...answer, epoch } : answer;
  };
/** A statement without the fence. */
const unfenced =
  <Args extends unknown[], Answer>(statement: (tables: Tables, epoch: number, ...args: Args) => Answer) =>
  (tables: Tables, _epoch: number, ...args: Args): Answer =>
    statement(tables, tables.visitors.epoch, ...args);

const lateInstall: Subject['scripts']['install'] = (server, epoch, count) => {
  server.held = { epoch, history: server.history };
  server.count = count;
};

export const BUGS: Record<string, Bug> = {
  'Redis increments without looking at the epoch': {
    subject: scripts({
      increment(server, _epoch, n) {
        const { held, history } = server;
        return held ? SCRIPTS.increment(server, held.history === history ? held.epoch : -1, n) : undefined;
      },
    }),
    size: {},
  },
  'Redis increments without looking for the count': {
    subject: scripts({
      increment(server, epoch, n) {
        server.count ??= 0;
        return SCRIPTS.increment(server, epoch, n);
      },
    }),
    size: {},
  },
  'a server of Redis is not told from its predecessor': {
    subject: scripts({
      increment: ({ ...server }, epoch, n) => SCRIPTS.increment(server, epoch, n),
    }),
    size: {},
  },
  'a commit assigns in place of GREATEST': {
    subject: statements({
      commit({ visitors }, epoch, last) {
        if (visitors.epoch === epoch) visitors.count = last;
        return visitors.epoch === epoch;
      },
    }),
    size: {},
  },
  'a commit without the fence': { subject: statements({ commit: unfenced(STATEMENTS.commit) }), size: {} },
  'an increment in fallback without the fence': {
    subject: statements({ incrementInFallback: unfenced(STATEMENTS.incrementInFallback) }),
    size: { visits: 2 },
  },
  'a visit is acknowledged before its commit': {
    subject: protocolWith({
      apply(task, event, knowledge, now) {
        const step = protocol.apply(task, event, knowledge, now);
        if (step.task.at !== 'committing' || event.do === 'commit') return step;
        const { n, last } = step.task;
        return { ...step, task: { at: 'counted', n, last, sequencer: 'redis' } };
      },
    }),
    size: {},
  },
  'an install is sent twice': { subject: { resendsInstalls: true }, size: { settled: false } },
  'an install is sent twice, and a late one is accepted': {
    subject: { resendsInstalls: true, ...scripts({ install: lateInstall }) },
    size: { settled: false },
  },
  'failing over keeps the epoch': { subject: statements({ failOver: keeps(STATEMENTS.failOver) }), size: {} },
  'failing back keeps the epoch': {
    subject: statements({ failBack: keeps(STATEMENTS.failBack) }),
    size: { visits: 2 },
  },
  'a reset keeps the epoch': {
    subject: statements({ reset: keeps(STATEMENTS.reset) }),
    size: { resets: 1, faults: 0 },
  },
  'a repeated reset resets again': {
    subject: statements({
      reset: (tables, epoch, reset) => STATEMENTS.reset({ ...tables, resets: [] }, epoch, reset),
    }),
    size: { resets: 1 },
  },
  'a late reset undoes a later one': {
    subject: statements({
      reset: (tables, epoch, reset) => {
        const resets = tables.resets.filter(({ id }) => id === reset.id);
        return STATEMENTS.reset({ ...tables, resets }, epoch, reset);
      },
    }),
    size: { replicas: 1, resets: 2 },
  },
  'numbers that the fence refused are acknowledged': {
    subject: protocolWith({
      apply: (task, event, ...rest) =>
        protocol.apply(
          task,
          event.do === 'commit' && 'answer' in event ? { ...event, answer: true } : event,
          ...rest,
        ),
    }),
    size: {},
  },
  'a replica that learns of an epoch installs it': {
    subject: protocolWith({
      apply(task, event, knowledge, now) {
        const step = protocol.apply(task, event, knowledge, now);
        if (event.do !== 'read' || !('answer' in event) || event.answer.sequencer === 'postgres') return step;
        return { ...step, task: { at: 'installing', row: event.answer, after: step.task } };
      },
    }),
    size: {},
  },
  'a replica that finds Redis empty fills it from the row': {
    subject: protocolWith({
      next: (task, ...rest) => (task.at === 'failing back' ? { do: 'read' } : protocol.next(task, ...rest)),
      apply(task, event, knowledge, now) {
        const step = protocol.apply(task, event, knowledge, now);
        if (task.at !== 'failing back' || event.do !== 'read' || !('answer' in event)) return step;
        return { ...step, task: { at: 'installing', row: event.answer, after: SUBJECT.visits } };
      },
    }),
    size: {},
  },
  'Redis increments by one for a whole batch': {
    subject: scripts({ increment: (server, epoch) => SCRIPTS.increment(server, epoch, 1) }),
    size: { visits: 2, faults: 0 },
  },
  'Postgres is not probed while no request waits': { subject: { probesAlways: false }, size: { faults: 2 } },
};
