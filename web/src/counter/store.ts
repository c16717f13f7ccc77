/**
 * The two stores, as the counter sees them. Each call is one statement or one script: atomic, sent at most once, and over in
 * bounded time. A store that does not answer throws StoreError.
 */

/** The store that gives out numbers. */
export type Sequencer = 'redis' | 'postgres';

/** Postgres's row. An epoch has one sequencer from its start to its end. */
export interface Row {
  /** From 0 to 2^53. */
  count: number;
  /** The fencing token: milliseconds since 1970, and each one later than the one before. */
  epoch: number;
  sequencer: Sequencer;
}

export interface RedisStore {
  /** Adds n to the count if Redis holds this epoch: the new count. Otherwise changes nothing: undefined. */
  increment(epoch: number, n: number): Promise<number | undefined>;
  /** Makes Redis hold this epoch and count, unless it already holds this epoch or a later one. */
  install(epoch: number, count: number): Promise<void>;
  /** A write that changes nothing: a Redis that is full or read-only refuses it. */
  ping(): Promise<void>;
}

/** Each write of the count names the epoch that it belongs to. If the row has another one, the write changes nothing. */
export interface PostgresStore {
  read(): Promise<Row>;
  /** Raises the count to at least `last`, and may be repeated. False: the row has another epoch. */
  commit(epoch: number, last: number): Promise<boolean>;
  /** Adds n to the count; a repetition adds it again. The new count, or undefined: the row has another epoch. */
  incrementInFallback(epoch: number, n: number): Promise<number | undefined>;
  /** Starts an epoch whose sequencer is Postgres, and adds n to the count. Undefined: the row has another epoch. */
  failOver(epoch: number, n: number): Promise<Row | undefined>;
  /** Starts an epoch whose sequencer is Redis. Undefined: the row has another epoch. */
  failBack(epoch: number): Promise<Row | undefined>;
  /**
   * Sets the count to 0 and starts an epoch whose sequencer is Redis: the new row.
   * 'repeated': this reset happened before, or one that was sent later did. 'moved': the row has another epoch.
   */
  reset(epoch: number, reset: Reset): Promise<Row | 'repeated' | 'moved'>;
  /** A write that changes nothing: a standby, a full disk or a locked row refuses it. */
  ping(): Promise<void>;
}

export interface Reset {
  /** The idempotency key. */
  id: string;
  /** When NGINX received it, in milliseconds since 1970. */
  sentAt: number;
}
