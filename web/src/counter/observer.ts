import type { Command } from './states.ts';
import type { Row, Sequencer } from './store.ts';

/** Why a request was refused. */
export type Reason =
  | 'shutdown'
  | 'postgres_away'
  | 'full'
  | 'late'
  | 'deadline'
  | 'gone'
  | 'overflow'
  | 'failed';

/** What happens in the counter, for whoever counts it: the algorithm knows no metrics library. */
export interface Observer {
  /** A batch was closed, which had stayed open for so long for clients that return. */
  batch(visits: number, lingerMs: number): void;
  /** A command to a store ended. */
  command(command: Command['do'], ms: number, failed: boolean): void;
  /** This replica started an epoch. */
  epoch(cause: 'failOver' | 'failBack' | 'reset'): void;
  /** Visits got their numbers, the last of them this. */
  counted(visits: number, last: number, sequencer: Sequencer): void;
  refused(reason: Reason): void;
  /** So many numbers may never be shown to a visitor. */
  gap(numbers: number): void;
  /** Postgres's row, as an operator's question found it. */
  row(row: Row): void;
}

const nothing = () => {};
export const SILENT: Observer = {
  batch: nothing,
  command: nothing,
  epoch: nothing,
  counted: nothing,
  refused: nothing,
  gap: nothing,
  row: nothing,
};
