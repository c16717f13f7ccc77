import type { Log } from '../log.ts';
import { StoreError, Unavailable } from '../unavailable.ts';

/**
 * The counter: Redis numbers the visits, Postgres remembers, and nothing is acknowledged that Postgres has
 * not committed. When Redis is gone, Postgres numbers them itself.
 *
 * An *epoch* in Postgres's row fences Redis: what Redis holds counts only while its epoch is the row's.
 * Whoever changes who numbers (a fallback, a return to Redis, a reset) moves the epoch in the same commit, so
 * every number that Redis gave out before and that is not yet committed can no longer be. The idea is the
 * fencing token of https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html.
 */

/** Postgres's row: `counting` says who gives out the numbers of this `epoch`. */
export interface Row {
  count: number;
  epoch: number;
  counting: 'redis' | 'postgres';
}

/** What the counter asks of Redis. Every call is atomic there, is sent at most once and ends in bounded time. */
export interface RedisStore {
  /** Adds n to the count if Redis holds this epoch: the new count. Otherwise changes nothing: undefined. */
  increment(epoch: number, n: number): Promise<number | undefined>;
  /** Makes Redis hold this count and epoch, unless it already holds this epoch or a later one. */
  install(epoch: number, count: number): Promise<void>;
}

/** What the counter asks of Postgres. Every call is one commit and ends in bounded time. */
export interface PostgresStore {
  read(): Promise<Row>;
  /** Raises the count to at least this. False: the row is of another epoch, and nothing changed. Repeatable. */
  record(epoch: number, count: number): Promise<boolean>;
  /** Adds n to the count, in an epoch in which Postgres counts; repeating it counts n again. If Redis counts, it
   * does so only to whoever insists, and begins such an epoch. Undefined: Redis counts, and nothing changed. */
  takeOver(n: number, insist: boolean): Promise<Row | undefined>;
  /** Begins an epoch in which Redis counts. Undefined: the row's epoch is not `seen`, and nothing changed. */
  handBack(seen: number): Promise<Row | undefined>;
  /** Sets the count to 0 and begins an epoch in which Redis counts: the new row. 'moved': the row's epoch is not
   * `seen`; 'done': it was done before under this id, or one that was sent after it (`sentAt`, milliseconds since 1970)
   * was; nothing changed then. */
  reset(id: string, seen: number, sentAt: number): Promise<Row | 'moved' | 'done'>;
}

export interface CounterOptions {
  /** Undefined: there is no Redis, Postgres counts. */
  redis: RedisStore | undefined;
  postgres: PostgresStore;
  /** How long a visit or a reset waits for Postgres before it is refused, in milliseconds. */
  waitMs: number;
  log: Log;
  /** How many visits may wait at once; more are refused. */
  maxWaiting?: number;
  clock?: Clock;
}

/** Time, so that a simulation can have its own. */
export interface Clock {
  /** Milliseconds since some moment. */
  now(): number;
  /** Calls back after so many milliseconds, unless it is cancelled before. */
  after(ms: number, callback: () => void): () => void;
}

const wallClock: Clock = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** After a failure Redis is left alone for so long (ms): one replica that cannot reach it must not make all
 * others start over at every batch, and a restarting Redis is not worth asking more often. */
const COOL_DOWN_MS = 1000;
/** Between two probes of a Postgres that does not answer (ms): short, because visitors are waiting. */
const RETRY_MS = 100;
/** How often a batch tries to have Redis count before it has Postgres count. Three are enough when nobody
 * else is at work; the others are for replicas that hand back at the same moment. */
const ROUNDS = 6;
/** Whoever begins an epoch installs it in Redis at once: give it so long (ms) before beginning another. */
const INSTALL_MS = 20;

/** How long a batch waits for visits, in lengths of the last batch, and at most (ms). */
const PATIENCE = 4;
const MAX_PATIENCE_MS = 20;
/** Of those who were here: a few always go to another replica, and whoever waits for all of them, waits in vain.
 * docs/performance.md has the measurements of all three. */
const MOST = 0.95;

/** Somebody who waits for an answer, until it comes or the time is over. */
class Waiter<T> {
  readonly promise: Promise<T>;
  readonly #settle: { resolve: (value: T) => void; reject: (error: unknown) => void };
  readonly #cancelTimer: () => void;
  readonly #gone: () => boolean;
  readonly #settled: () => void;
  #waiting = true;

  constructor(clock: Clock, waitMs: number, gone: () => boolean, settled: () => void) {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.promise = promise;
    this.#settle = { resolve, reject };
    this.#gone = gone;
    this.#settled = settled;
    this.#cancelTimer = clock.after(waitMs, () => {
      this.reject(new Unavailable('Postgres did not answer in time'));
    });
  }

  /** Who has left waits no longer. */
  stillWaits(): boolean {
    if (this.#waiting && this.#gone()) this.reject(new Unavailable('the visitor has left'));
    return this.#waiting;
  }

  resolve(value: T): void {
    this.#end();
    this.#settle.resolve(value);
  }

  reject(error: unknown): void {
    this.#end();
    this.#settle.reject(error);
  }

  #end(): void {
    if (this.#waiting) this.#settled();
    this.#waiting = false;
    this.#cancelTimer();
  }
}

export class Counter {
  readonly #redis: RedisStore | undefined;
  readonly #postgres: PostgresStore;
  readonly #waitMs: number;
  readonly #maxWaiting: number;
  readonly #log: Log;
  readonly #clock: Clock;

  /** Visits that are in no batch yet. */
  #visits: Waiter<number>[] = [];
  #counting: Promise<void> | undefined;
  #resetting: Promise<void> = Promise.resolve();
  /** How many visits and resets have no answer yet. */
  #waiting = 0;
  #closed = false;
  /** The row's epoch as last seen here, and who counts in it. Undefined: not known. */
  #known: Pick<Row, 'epoch' | 'counting'> | undefined;
  /** The last epoch that Redis was found without. */
  #missing: number | undefined;
  /** Until then Redis is left alone: it failed here, or it did elsewhere, so that Postgres counts. */
  #redisFailedUntil = 0;
  #postgresCountsUntil = 0;
  /** While Postgres counts as away: since when, and its end. One probe runs for as long as this is set. */
  #outage: { since: number; over: Promise<void> } | undefined;
  /** How many visits were here when the last batch ended, and how long the next waits for as many (ms). */
  #expected = 0;
  #patienceMs = 0;
  /** Ends that wait. */
  #gathered: (() => void) | undefined;
  /** Who numbered the last batch here. */
  #numberedBy: Row['counting'] | undefined;

  /** @throws RangeError for a wait that is not a positive number. */
  constructor(options: CounterOptions) {
    if (!(options.waitMs > 0)) {
      throw new RangeError(`waitMs is ${options.waitMs}: give a positive number of milliseconds`);
    }
    this.#redis = options.redis;
    this.#postgres = options.postgres;
    this.#waitMs = options.waitMs;
    this.#maxWaiting = options.maxWaiting ?? 10_000;
    this.#log = options.log;
    this.#clock = options.clock ?? wallClock;
  }

  /**
   * Counts a visit.
   * @param gone true once nobody wants the answer any more: such a visit is not counted if that is known in time.
   * @param waitedMs how much of the wait (CounterOptions.waitMs) the visit has spent elsewhere, in milliseconds
   * @returns the visit's number since the last reset, from 1 to 2^53−1, committed in Postgres.
   * @throws Unavailable when Postgres is away for longer than the wait, too many visits wait, or after close().
   */
  async visit(gone: () => boolean = () => false, waitedMs = 0): Promise<number> {
    const waiter = this.#admit<number>(gone, waitedMs);
    this.#visits.push(waiter);
    if (this.#enough()) this.#gathered?.();
    this.#counting ??= this.#count();
    return waiter.promise;
  }

  /**
   * Starts again from 0: a visit that is sent after this resolves is numbered from 1 up.
   * @param id names this reset: asked again under the same id, of any replica, it happens once.
   * @param sentAt when the client sent it, in milliseconds since 1970, by the clock that all resets are timed by: one that
   * the network holds back does not undo what came after a later one.
   * @param waitedMs as for a visit
   * @throws Unavailable when it is not known to be committed. It may be, unless another reset came after it.
   */
  async reset(id: string, sentAt = Date.now(), waitedMs = 0): Promise<void> {
    const waiter = this.#admit<void>(() => false, waitedMs);
    // One after the other, and beside the visits, which must not wait for a reset that cannot be done.
    this.#resetting = this.#resetting.then(() =>
      this.#serve([waiter], () => this.#reset(waiter, id, sentAt)),
    );
    return waiter.promise;
  }

  /** Who numbered the last visits here, and whether Postgres is away: for operators. */
  get state(): { countedBy: Row['counting'] | undefined; postgresAway: boolean } {
    return { countedBy: this.#numberedBy, postgresAway: this.#outage !== undefined };
  }

  /** Refuses what comes from now on, and resolves when all that waits has its answer: within the wait. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#gathered?.();
    await Promise.all([this.#counting, this.#resetting]);
    await this.#outage?.over;
  }

  #admit<T>(gone: () => boolean, waitedMs: number): Waiter<T> {
    if (this.#closed) throw new Unavailable('this replica is shutting down');
    if (this.#waiting >= this.#maxWaiting)
      throw new Unavailable(`${this.#waiting} requests are waiting already`);
    if (this.#outage !== undefined && this.#clock.now() - this.#outage.since >= this.#waitMs) {
      throw new Unavailable('Postgres is away');
    }
    if (waitedMs >= this.#waitMs) throw new Unavailable('the request has spent its wait elsewhere');
    this.#waiting++;
    return new Waiter<T>(this.#clock, this.#waitMs - waitedMs, gone, () => {
      this.#waiting--;
    });
  }

  /** Group commit: visits that arrive while a batch is under way form the next. */
  async #count(): Promise<void> {
    while (this.#visits.length > 0) {
      await this.#gather();
      const batch = this.#visits;
      this.#visits = [];
      const since = this.#clock.now();
      await this.#serve(batch, () => this.#number(batch));
      this.#patienceMs = Math.min(MAX_PATIENCE_MS, PATIENCE * (this.#clock.now() - since));
    }
    this.#counting = undefined;
  }

  /**
   * Whoever was just answered comes back at once on a busy site, and one commit for many costs what one for few does:
   * waits until most of those are here who were when the last batch ended. A single visitor never waits.
   */
  async #gather(): Promise<void> {
    if (this.#enough() || this.#closed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(this.#patienceMs, resolve);
    this.#gathered = resolve;
    await promise;
    this.#gathered = undefined;
    cancel();
  }

  #enough(): boolean {
    return this.#visits.length >= MOST * this.#expected;
  }

  async #serve<T>(waiters: Waiter<T>[], work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      for (const waiter of waiters) waiter.reject(error);
    }
  }

  /** Gives each of the batch its number. */
  async #number(batch: Waiter<number>[]): Promise<void> {
    const redis = this.#redis;
    let visitors = batch;
    const wanted = () => {
      visitors = visitors.filter((visitor) => visitor.stillWaits());
      return visitors.length > 0;
    };

    for (let round = 0; ; round++) {
      const { epoch, counting } = this.#known ?? (await this.#learn(wanted));
      if (!wanted()) return;
      const now = this.#clock.now();
      const giveUpRedis = round >= ROUNDS || now < this.#redisFailedUntil;
      if (!redis || giveUpRedis || now < this.#postgresCountsUntil) {
        // Only who cannot reach Redis takes the counting from it: others find out here that it counts again.
        const insist = !redis || giveUpRedis;
        let asked = 0;
        const row = await this.#ask(() => {
          // An earlier one may have been committed all the same.
          if (asked > 0) this.#tellGap(asked);
          asked = visitors.length;
          return this.#postgres.takeOver(asked, insist);
        }, wanted);
        if (row) {
          this.#known = row;
          this.#acknowledge(visitors, exact(row.count), 'postgres');
          return;
        }
        this.#postgresCountsUntil = 0;
        this.#known = undefined;
        continue;
      }

      const numbered = visitors;
      let last: number | undefined;
      try {
        last = await redis.increment(epoch, numbered.length);
      } catch {
        // It may have counted them all the same.
        this.#tellGap(numbered.length);
        this.#leaveRedis();
        continue;
      }
      if (last === undefined) {
        if (counting === 'redis' && this.#missing !== epoch) {
          this.#missing = epoch;
          this.#known = undefined;
          await this.#sleep(INSTALL_MS);
          continue;
        }
        // Redis is empty, behind, or another server than before: only a new epoch makes it valid again.
        const row = await this.#ask(() => this.#postgres.handBack(epoch), wanted);
        if (row) await this.#install(row);
        else this.#known = undefined;
        continue;
      }
      const recorded = await this.#ask(
        () => this.#postgres.record(epoch, exact(last)),
        () => numbered.some((visitor) => visitor.stillWaits()),
      );
      if (recorded) {
        this.#acknowledge(numbered, last, 'redis');
        return;
      }
      // The fence: these numbers are void. Whoever moved the epoch knows where the count is.
      this.#tellGap(numbered.length);
      this.#known = undefined;
    }
  }

  async #reset(waiter: Waiter<void>, id: string, sentAt: number): Promise<void> {
    const wanted = () => waiter.stillWaits();
    for (;;) {
      // Bound to an epoch, so that one that was given up and arrives late cannot undo what came after it.
      const { epoch } = this.#known ?? (await this.#learn(wanted));
      const row = await this.#ask(() => this.#postgres.reset(id, epoch, sentAt), wanted);
      if (row !== 'moved') {
        if (row !== 'done') await this.#install(row);
        return waiter.resolve();
      }
      this.#known = undefined;
    }
  }

  /** So many numbers may never be shown to anybody: the count is then larger than what was acknowledged. */
  #tellGap(numbers: number): void {
    this.#log.info({ gap: numbers }, 'numbers may be missing');
  }

  #acknowledge(visitors: Waiter<number>[], last: number, counting: Row['counting']): void {
    if (this.#numberedBy !== counting) {
      this.#numberedBy = counting;
      this.#log.info({ counting }, `${counting === 'redis' ? 'Redis' : 'Postgres'} counts`);
    }
    // Before anybody is answered: who comes back at once must not be taken for one more.
    this.#expected = visitors.length + this.#visits.length;
    let number = last - visitors.length;
    for (const visitor of visitors) visitor.resolve(++number);
  }

  /** What the row says. If Postgres counts, somebody else could not reach Redis: leave it alone as well. */
  async #learn(wanted: () => boolean): Promise<Row> {
    const row = await this.#ask(() => this.#postgres.read(), wanted);
    this.#known = row;
    if (row.counting === 'postgres') this.#postgresCountsUntil = this.#clock.now() + COOL_DOWN_MS;
    return row;
  }

  /** Once for each epoch, by whoever began it: a second time could bring back numbers given out since. */
  async #install(row: Row): Promise<void> {
    this.#known = row;
    try {
      await this.#redis?.install(row.epoch, row.count);
    } catch {
      this.#leaveRedis();
    }
  }

  /** Its store has logged the cause. */
  #leaveRedis(): void {
    this.#redisFailedUntil = this.#clock.now() + COOL_DOWN_MS;
  }

  /**
   * Postgres's answer, asked for again until it comes. While Postgres is away only the probe asks.
   * @throws Unavailable when nobody wants the answer any more.
   */
  async #ask<T>(ask: () => Promise<T>, wanted: () => boolean): Promise<T> {
    for (;;) {
      if (!wanted()) throw new Unavailable('nobody waits for the answer any more');
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        // What is known may be why it failed: an epoch that was changed by hand and does not fit any more.
        this.#known = undefined;
        this.#outage ??= this.#beginOutage(error);
      }
      await this.#outage.over;
    }
  }

  /**
   * An outage of Postgres. It ends when a write succeeds: a standby can be read, and so can a row that is locked. The
   * probe depends on no visitor, because a replica that nobody probes for would refuse for ever.
   */
  #beginOutage(error: StoreError): { since: number; over: Promise<void> } {
    this.#log.warn({ err: error }, 'Postgres does not answer: visits wait');
    const since = this.#clock.now();
    const probe = async () => {
      do {
        await this.#sleep(RETRY_MS);
        if (await this.#canWrite()) {
          this.#log.info({ awayMs: Math.round(this.#clock.now() - since) }, 'Postgres is back');
          break;
        }
      } while (!this.#closed || this.#waiting > 0);
      this.#outage = undefined;
    };
    return { since, over: probe() };
  }

  /** Never throws, because the probe must not end before the outage does. */
  async #canWrite(): Promise<boolean> {
    try {
      const { epoch } = await this.#postgres.read();
      // Changes nothing, because no count is below 0. "Another epoch" is an answer as well.
      await this.#postgres.record(epoch, 0);
      return true;
    } catch {
      return false;
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.after(ms, resolve));
  }
}

/** @throws Unavailable for a count that a double cannot hold exactly: better none than a wrong one. */
function exact(count: number): number {
  if (Number.isSafeInteger(count)) return count;
  throw new Unavailable(`the counter has passed ${Number.MAX_SAFE_INTEGER}: reset it`);
}
