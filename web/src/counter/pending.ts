import { Unavailable } from '../unavailable.ts';
import type { Clock } from './clock.ts';
import type { Reason } from './observer.ts';

/** A request that the counter refuses, and why. */
export class Refused extends Unavailable {
  readonly reason: Reason;

  constructor(reason: Reason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** What a request brings with it. */
export interface Arrival {
  /** True once the client has gone: the request is then cancelled. */
  gone?: () => boolean;
  /** How much of the wait it has spent elsewhere, in milliseconds. */
  waitedMs?: number;
}

/** What all pending requests of a replica have in common. */
interface Waiting {
  /** Its place among them. */
  index: number;
  readonly admittedAt: number;
}

/** A visit or a reset without an answer yet. Its deadline refuses it. */
export class Pending<T> implements Waiting {
  index = 0;
  readonly admittedAt: number;
  readonly answer: Promise<T>;
  readonly #settle: { resolve: (value: T) => void; reject: (error: unknown) => void };
  readonly #gone: () => boolean;
  readonly #cancelDeadline: () => void;
  readonly #settled: (pending: Waiting, error?: unknown) => void;
  #isSettled = false;

  constructor(
    clock: Clock,
    leftMs: number,
    gone: () => boolean,
    settled: (pending: Waiting, error?: unknown) => void,
  ) {
    this.admittedAt = clock.now();
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.answer = promise;
    this.#settle = { resolve, reject };
    this.#gone = gone;
    this.#settled = settled;
    this.#cancelDeadline = clock.after(leftMs, () =>
      this.refuse(new Refused('deadline', 'Postgres did not answer in time')),
    );
  }

  /** Does a client still wait for the answer? */
  get isWanted(): boolean {
    return !this.#isSettled && !this.#gone();
  }

  resolve(value: T): void {
    this.#end();
    this.#settle.resolve(value);
  }

  refuse(error: unknown): void {
    this.#end(error);
    this.#settle.reject(error);
  }

  #end(error?: unknown): void {
    this.#cancelDeadline();
    if (!this.#isSettled) this.#settled(this, error);
    this.#isSettled = true;
  }
}

/** All pending requests of a replica: admits new ones up to a bound. */
export class PendingRequests {
  readonly #clock: Clock;
  readonly #waitMs: number;
  readonly #most: number;
  readonly #refused: (reason: Reason) => void;
  /** In no order. An array, and not a Set, whose table V8 builds anew after so many additions, and keeps what was in it alive. */
  readonly #all: Waiting[] = [];

  /**
   * @param waitMs after which a request is refused
   * @param most so many may be pending; more are refused
   * @param refused is told of each refusal
   * @throws RangeError for a wait that is not a positive number
   */
  constructor(clock: Clock, waitMs: number, most: number, refused: (reason: Reason) => void = () => {}) {
    if (!(waitMs > 0)) throw new RangeError(`waitMs is ${waitMs}: give a positive number of milliseconds`);
    this.#clock = clock;
    this.#waitMs = waitMs;
    this.#most = most;
    this.#refused = refused;
  }

  get count(): number {
    return this.#all.length;
  }

  /** How long the oldest has waited here (ms); 0 without any. Looks at each: for operators. */
  get oldestMs(): number {
    const now = this.#clock.now();
    return this.#all.reduce((oldest, { admittedAt }) => Math.max(oldest, now - admittedAt), 0);
  }

  /** @throws Refused for one too many, and for one that has spent its wait elsewhere */
  admit<T>({ gone = () => false, waitedMs = 0 }: Arrival): Pending<T> {
    if (this.count >= this.#most) throw this.refusal('full', `${this.count} requests are pending already`);
    if (waitedMs >= this.#waitMs) throw this.refusal('late', 'the request has spent its wait elsewhere');
    const pending = new Pending<T>(this.#clock, this.#waitMs - waitedMs, gone, this.#remove);
    pending.index = this.#all.push(pending) - 1;
    return pending;
  }

  /** What a request is refused with that is not admitted. */
  refusal(reason: Reason, message: string): Refused {
    this.#refused(reason);
    return new Refused(reason, message);
  }

  /** The last takes its place. */
  readonly #remove = (pending: Waiting, error?: unknown): void => {
    const last = this.#all.pop();
    if (last !== undefined && last !== pending) {
      this.#all[pending.index] = last;
      last.index = pending.index;
    }
    if (error !== undefined) this.#refused(error instanceof Refused ? error.reason : 'failed');
  };
}
