import type { Clock } from './clock.ts';

/** How long a batch lingers: at most so many times as long as the batch before took, and at most this (ms). */
const LINGER = 4;
const MAX_LINGER_MS = 20;
/** A visit that comes so long after the batch before (ms) is no client of it that returns. */
const RETURN_MS = 100;
/** Of the clients of the batch before: a few always go to another replica, and waiting for all of them would be in vain.
 * docs/performance.md has the measurements. */
const MOST = 0.95;

/**
 * Group commit: requests that arrive while a batch is under way form the next. On a busy site the clients of a batch come back
 * at once, and a commit for many costs what one for few does. So the next batch stays open until most of them are back.
 */
export class GroupCommit<T> {
  readonly #clock: Clock;
  readonly #work: (batch: T[]) => Promise<void>;
  readonly #observe: (size: number, lingerMs: number) => void;
  /** Requests that are in no batch yet. */
  #queue: T[] = [];
  #running: Promise<void> | undefined;
  #closed = false;
  /** When the last batch started and ended, and how many clients were here when it was answered. */
  #started = 0;
  #ended = 0;
  #clients = 0;
  #closeBatch: (() => void) | undefined;

  /**
   * @param work carries a batch out, and never throws
   * @param observe is told of each batch, and how long it stayed open for clients that return
   */
  constructor(
    clock: Clock,
    work: (batch: T[]) => Promise<void>,
    observe: (size: number, lingerMs: number) => void = () => {},
  ) {
    this.#clock = clock;
    this.#work = work;
    this.#observe = observe;
  }

  add(request: T): void {
    this.#queue.push(request);
    if (this.#enough()) this.#closeBatch?.();
    this.#running ??= this.#run();
  }

  /** Call before a batch is answered: a client that returns at once must not be taken for one more. */
  answering(batch: T[]): void {
    this.#clients = batch.length + this.#queue.length;
  }

  /** From now on no batch lingers. Resolves when none is left. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#closeBatch?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const opened = this.#clock.now();
      await this.#linger();
      const batch = this.#queue;
      this.#queue = [];
      this.#started = this.#clock.now();
      this.#observe(batch.length, this.#started - opened);
      await this.#work(batch);
      this.#ended = this.#clock.now();
    }
    this.#running = undefined;
  }

  async #linger(): Promise<void> {
    const isBurstOver = this.#clock.now() - this.#ended > RETURN_MS;
    if (isBurstOver || this.#enough() || this.#closed) return;
    const ms = Math.min(MAX_LINGER_MS, LINGER * (this.#ended - this.#started));
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(ms, resolve);
    this.#closeBatch = resolve;
    await promise;
    this.#closeBatch = undefined;
    cancel();
  }

  #enough(): boolean {
    return this.#queue.length >= MOST * this.#clients;
  }
}
