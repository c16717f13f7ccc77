import { Unavailable } from '../unavailable.ts';
import type { Clock } from './clock.ts';

/** What a request brings with it. */
export interface Arrival {
  /** True once the client has gone: the request is then cancelled. */
  gone?: () => boolean;
  /** How much of the wait it has spent elsewhere, in milliseconds. */
  waitedMs?: number;
}

/** A visit or a reset without an answer yet. Its deadline refuses it. */
export class Pending<T> {
  readonly answer: Promise<T>;
  readonly #settle: { resolve: (value: T) => void; reject: (error: unknown) => void };
  readonly #gone: () => boolean;
  readonly #cancelDeadline: () => void;
  readonly #settled: () => void;
  #isSettled = false;

  constructor(clock: Clock, leftMs: number, gone: () => boolean, settled: () => void) {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.answer = promise;
    this.#settle = { resolve, reject };
    this.#gone = gone;
    this.#settled = settled;
    this.#cancelDeadline = clock.after(leftMs, () =>
      this.refuse(new Unavailable('Postgres did not answer in time')),
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
    this.#end();
    this.#settle.reject(error);
  }

  #end(): void {
    this.#cancelDeadline();
    if (!this.#isSettled) this.#settled();
    this.#isSettled = true;
  }
}

/** All pending requests of a replica: admits new ones up to a bound. */
export class PendingRequests {
  readonly #clock: Clock;
  readonly #waitMs: number;
  readonly #most: number;
  #count = 0;

  /**
   * @param waitMs after which a request is refused
   * @param most so many may be pending; more are refused
   * @throws RangeError for a wait that is not a positive number
   */
  constructor(clock: Clock, waitMs: number, most: number) {
    if (!(waitMs > 0)) throw new RangeError(`waitMs is ${waitMs}: give a positive number of milliseconds`);
    this.#clock = clock;
    this.#waitMs = waitMs;
    this.#most = most;
  }

  get count(): number {
    return this.#count;
  }

  /** @throws Unavailable for one too many, and for one that has spent its wait elsewhere */
  admit<T>({ gone = () => false, waitedMs = 0 }: Arrival): Pending<T> {
    if (this.#count >= this.#most) throw new Unavailable(`${this.#count} requests are pending already`);
    if (waitedMs >= this.#waitMs) throw new Unavailable('the request has spent its wait elsewhere');
    this.#count++;
    return new Pending<T>(this.#clock, this.#waitMs - waitedMs, gone, () => {
      this.#count--;
    });
  }
}
