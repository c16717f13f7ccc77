/**
 * The words of the protocol: what a replica knows, the states of a task, its commands, and their outcomes. protocol.ts says what
 * follows from what.
 */
import type { Reset, Row, Sequencer } from './store.ts';

/** What a replica knows of its stores. Its tasks share it. */
export interface Knowledge {
  /** The row's epoch and sequencer as last seen. Undefined: read the row first. */
  readonly row: Pick<Row, 'epoch' | 'sequencer'> | undefined;
  /** Redis's circuit breaker is open until then, because a command failed here. Infinity: there is no Redis. */
  readonly openUntil: number;
  /** Another replica failed over: this one stays with Postgres until then, or the two would take turns at every batch. */
  readonly followUntil: number;
  /** Since when Postgres is considered down. */
  readonly downSince: number | undefined;
}

/** A batch of visits, or a reset, on its way. */
export type Task =
  | { at: 'numbering'; failBacks: number; lacking?: number }
  | { at: 'committing'; failBacks: number; epoch: number; n: number; last: number }
  | { at: 'pausing'; failBacks: number; epoch: number }
  | { at: 'failing back'; failBacks: number; epoch: number }
  | { at: 'failing over'; failBacks: number; epoch: number }
  | { at: 'installing'; row: Row; after: Task | End }
  | { at: 'resetting'; reset: Reset };
/** Its end: numbered `last − n + 1` to `last`, reset, or refused since numbers are no longer exact. */
export type End =
  | { at: 'counted'; n: number; last: number; sequencer: Sequencer }
  | { at: 'reset' }
  | { at: 'full' };

/** What a task asks for: of Postgres, of Redis (increment, install, ping), or of the clock (pause, wait). */
export type Command =
  | { do: 'read' }
  | { do: 'increment'; epoch: number; n: number }
  | { do: 'commit'; epoch: number; last: number }
  | { do: 'incrementInFallback'; epoch: number; n: number }
  | { do: 'failOver'; epoch: number; n: number }
  | { do: 'ping'; epoch: number }
  | { do: 'failBack'; epoch: number }
  | { do: 'install'; epoch: number; count: number }
  | { do: 'reset'; epoch: number; reset: Reset }
  /** For so many milliseconds. */
  | { do: 'pause'; ms: number }
  /** For the end of the probe that is under way. */
  | { do: 'wait' };

type Of<Do extends Command['do']> = Extract<Command, { do: Do }>;

/** What became of a command: its answer, or none. `unknown`: it may have been carried out, or may be yet. */
export type Event =
  | (Of<'read'> & { answer: Row })
  | (Of<'increment' | 'incrementInFallback'> & { answer: number | undefined })
  | (Of<'commit'> & { answer: boolean })
  | (Of<'failOver' | 'failBack'> & { answer: Row | undefined })
  | (Of<'reset'> & { answer: Row | 'repeated' | 'moved' })
  | (Of<'ping' | 'install' | 'pause' | 'wait'> & { answer: 'done' })
  | (Command & { failed: 'unsent' | 'unknown' });

/** What follows from an event. */
export interface Step {
  task: Task | End;
  knowledge: Knowledge;
  /** So many numbers may never be shown to anybody. */
  gap: number;
}
