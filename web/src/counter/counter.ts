import type { Log } from '../log.ts';
import { type Clock, wallClock } from './clock.ts';
import { GroupCommit } from './group-commit.ts';
import { type Observer, SILENT } from './observer.ts';
import { type Arrival, type Pending, PendingRequests, Refused } from './pending.ts';
import { admits, reset, VISITS } from './protocol.ts';
import type { Task } from './states.ts';
import type { PostgresStore, RedisStore, Reset, Sequencer } from './store.ts';
import { TaskRunner } from './task-runner.ts';

/** Pending requests of a replica. NGINX's worker_connections allow as many while two of three replicas are away. */
const MOST_PENDING = 4000;

const NAMES = { redis: 'Redis', postgres: 'Postgres' };

export interface CounterOptions {
  /** Undefined: there is no Redis, Postgres is the sequencer. */
  redis: RedisStore | undefined;
  postgres: PostgresStore;
  /** How long a visit or a reset waits for Postgres before it is refused, in milliseconds. */
  waitMs: number;
  log: Log;
  mostPending?: number;
  clock?: Clock;
  observer?: Observer;
}

/** What a replica can say of itself, for operators. */
export interface CounterState {
  pending: number;
  mostPending: number;
  /** How long the oldest of them has waited. */
  oldestMs: number;
  /** Is Redis left alone for a while after a failure? Always without Redis. */
  isBreakerOpen: boolean;
}

/** The counter: numbers visits in batches, beside them one reset after another. The protocol is in protocol.ts. */
export class Counter {
  readonly #waitMs: number;
  readonly #log: Log;
  readonly #mostPending: number;
  readonly #observer: Observer;
  readonly #clock: Clock;
  readonly #pending: PendingRequests;
  readonly #runner: TaskRunner;
  readonly #batches: GroupCommit<Pending<number>>;
  #resets: Promise<void> = Promise.resolve();
  #closed = false;
  /** Which store gave out the last numbers here. */
  #sequencer: Sequencer | undefined;

  /** @throws RangeError for a wait that is not a positive number. */
  constructor({
    redis,
    postgres,
    waitMs,
    log,
    mostPending = MOST_PENDING,
    clock = wallClock,
    observer = SILENT,
  }: CounterOptions) {
    this.#waitMs = waitMs;
    this.#log = log;
    this.#mostPending = mostPending;
    this.#observer = observer;
    this.#clock = clock;
    this.#pending = new PendingRequests(clock, waitMs, mostPending, observer.refused);
    this.#runner = new TaskRunner({ redis, postgres, clock, log, observer });
    this.#batches = new GroupCommit(clock, (batch) => this.#number(batch), observer.batch);
  }

  /**
   * Counts a visit. One whose client has gone is not counted if that is known in time.
   * @returns the visit's number since the last reset, from 1 to 2^53−1, committed in Postgres.
   * @throws Unavailable when Postgres is away for longer than the wait, too many requests are pending, or after close().
   */
  async visit(arrival: Arrival = {}): Promise<number> {
    const visit = this.#admit<number>(arrival);
    this.#batches.add(visit);
    return visit.answer;
  }

  /**
   * Starts again from 0: a visit that is sent after this resolves is numbered from 1 up.
   * @param id the idempotency key: repeated under the same id, at any replica, the reset happens once.
   * @param sentAt when NGINX received it, in milliseconds since 1970. A reset that the network holds back does not undo what
   * came after a later one.
   * @throws Unavailable when it is not known to be committed. It may be, unless another reset came after it.
   */
  async reset(id: string, sentAt = Date.now(), arrival: Pick<Arrival, 'waitedMs'> = {}): Promise<void> {
    const pending = this.#admit<void>(arrival);
    // One after another, and beside the visits, which must not wait for a reset that cannot be done.
    this.#resets = this.#resets.then(() => this.#reset(pending, { id, sentAt }));
    return pending.answer;
  }

  /** Does Postgres take no writes, as far as is known here? For operators. */
  get isPostgresDown(): boolean {
    return this.#runner.knowledge.downSince !== undefined;
  }

  get state(): CounterState {
    return {
      pending: this.#pending.count,
      mostPending: this.#mostPending,
      oldestMs: this.#pending.oldestMs,
      isBreakerOpen: this.#clock.now() < this.#runner.knowledge.openUntil,
    };
  }

  /** Refuses new requests, and resolves when all pending ones have their answer: within the wait. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#batches.close(), this.#resets]);
    await this.#runner.close();
  }

  #admit<T>(arrival: Arrival): Pending<T> {
    if (this.#closed) throw this.#pending.refusal('shutdown', 'this replica is shutting down');
    if (!admits(this.#runner.knowledge, this.#clock.now(), this.#waitMs))
      throw this.#pending.refusal('postgres_away', 'Postgres is away');
    return this.#pending.admit(arrival);
  }

  /** Gives each visit of a batch its number. */
  async #number(batch: Pending<number>[]): Promise<void> {
    let visits = batch;
    const wanted = (task: Task) => {
      // Numbers that are given out belong to these visits, whether or not their clients still wait.
      if (task.at !== 'committing') visits = dropCancelled(visits);
      return visits.some((visit) => visit.isWanted) ? visits.length : undefined;
    };
    try {
      const end = await this.#runner.run(VISITS, wanted);
      if (end?.at === 'counted') return await this.#acknowledge(visits, end.last, end.sequencer);
      const full = `the counter has passed ${Number.MAX_SAFE_INTEGER}: reset it`;
      refuse(visits, end?.at === 'full' ? new Refused('overflow', full) : gone());
    } catch (error) {
      refuse(visits, error);
    }
  }

  /** Resolves when the callers have their numbers, and so have written their answers. */
  async #acknowledge(visits: Pending<number>[], last: number, sequencer: Sequencer): Promise<void> {
    if (this.#sequencer !== sequencer) this.#log.info({ sequencer }, `${NAMES[sequencer]} is the sequencer`);
    this.#sequencer = sequencer;
    this.#observer.counted(visits.length, last, sequencer);
    this.#runner.tellGap(visits.filter((visit) => !visit.isWanted).length);
    this.#batches.answering(visits);
    let number = last - visits.length;
    for (const visit of visits) visit.resolve(++number);
    // To write the answers of a large batch takes longer than to number it, and the next batch lingers in proportion to both.
    await visits.at(-1)?.answer;
  }

  async #reset(pending: Pending<void>, request: Reset): Promise<void> {
    try {
      const end = await this.#runner.run(reset(request), () => (pending.isWanted ? 0 : undefined));
      if (end) pending.resolve();
    } catch (error) {
      pending.refuse(error);
    }
  }
}

const gone = () => new Refused('gone', 'the client has gone');

function refuse(visits: Pending<number>[], cause: unknown): void {
  for (const visit of visits) visit.refuse(cause);
}

/** Refuses the visits whose clients have gone, and returns the rest. */
function dropCancelled(visits: Pending<number>[]): Pending<number>[] {
  if (visits.every((visit) => visit.isWanted)) return visits;
  refuse(
    visits.filter((visit) => !visit.isWanted),
    gone(),
  );
  return visits.filter((visit) => visit.isWanted);
}
