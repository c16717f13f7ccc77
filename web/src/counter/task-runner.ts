import type { Log } from '../log.ts';
import { StoreError } from '../unavailable.ts';
import type { Clock } from './clock.ts';
import type { Observer } from './observer.ts';
import { apply, hasEnded, initialKnowledge, next, revived } from './protocol.ts';
import type { Command, End, Event, Knowledge, Task } from './states.ts';
import type { PostgresStore, RedisStore } from './store.ts';

/** Between two probes of a Postgres that is down (ms): short, because requests are waiting. */
const PROBE_MS = 100;

// Never asked: without Redis its circuit breaker is open for ever (initialKnowledge).
const absent = async () => {
  throw new StoreError('there is no Redis', { sent: false });
};
const NO_REDIS: RedisStore = { increment: absent, install: absent, ping: absent };

interface RunnerOptions {
  redis: RedisStore | undefined;
  postgres: PostgresStore;
  clock: Clock;
  log: Log;
  observer: Observer;
}

/** Carries out on the stores what the protocol asks for, and keeps what the replica knows of them. */
export class TaskRunner {
  readonly #redis: RedisStore;
  readonly #postgres: PostgresStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #observer: Observer;
  #knowledge: Knowledge;
  /** While Postgres is considered down: the probe under way. */
  #probe: Promise<void> | undefined;
  /** The last answer that did not come. */
  #failure: StoreError | undefined;
  #closed = false;

  constructor({ redis, postgres, clock, log, observer }: RunnerOptions) {
    this.#redis = redis ?? NO_REDIS;
    this.#postgres = postgres;
    this.#clock = clock;
    this.#log = log;
    this.#observer = observer;
    this.#knowledge = initialKnowledge(redis !== undefined);
  }

  get knowledge(): Knowledge {
    return this.#knowledge;
  }

  /**
   * Runs a task to its end.
   * @param wanted before each command: for how many visits the task still runs (0 for a reset). Undefined: for no request at all
   * @returns its end, or undefined if no request wants it any more
   */
  async run(task: Task | End, wanted: (task: Task) => number | undefined): Promise<End | undefined> {
    while (!hasEnded(task)) {
      const n = wanted(task);
      if (n === undefined) {
        if (task.at === 'committing') this.tellGap(task.n);
        return undefined;
      }
      const event = await this.#observed(next(task, this.#knowledge, n, this.#clock.now()));
      const step = apply(task, event, this.#knowledge, this.#clock.now());
      task = step.task;
      this.#learn(step.knowledge);
      this.tellGap(step.gap);
    }
    return task;
  }

  /** So many numbers may never be shown to anybody: the count is then larger than what was acknowledged. */
  tellGap(gap: number): void {
    if (gap <= 0) return;
    this.#observer.gap(gap);
    this.#log.info({ gap }, 'numbers may be missing');
  }

  /** Call when no task runs any more: ends the probe. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#probe;
  }

  async #observed(command: Command): Promise<Event> {
    const started = this.#clock.now();
    const event = await this.#carryOut(command);
    this.#observer.command(command.do, this.#clock.now() - started, 'failed' in event);
    const startsEpoch = event.do === 'failOver' || event.do === 'failBack' || event.do === 'reset';
    // Neither a refusal nor the word that it happened before.
    if (startsEpoch && 'answer' in event && typeof event.answer === 'object') this.#observer.epoch(event.do);
    return event;
  }

  async #carryOut(command: Command): Promise<Event> {
    const [redis, postgres] = [this.#redis, this.#postgres];
    try {
      switch (command.do) {
        case 'read':
          return { ...command, answer: await postgres.read() };
        case 'increment':
          return { ...command, answer: await redis.increment(command.epoch, command.n) };
        case 'commit':
          return { ...command, answer: await postgres.commit(command.epoch, command.last) };
        case 'incrementInFallback':
          return { ...command, answer: await postgres.incrementInFallback(command.epoch, command.n) };
        case 'failOver':
          return { ...command, answer: await postgres.failOver(command.epoch, command.n) };
        case 'failBack':
          return { ...command, answer: await postgres.failBack(command.epoch) };
        case 'reset':
          return { ...command, answer: await postgres.reset(command.epoch, command.reset) };
        case 'install':
          await redis.install(command.epoch, command.count);
          return { ...command, answer: 'done' };
        case 'ping':
          await redis.ping();
          return { ...command, answer: 'done' };
        case 'pause':
          await this.#sleep(command.ms);
          return { ...command, answer: 'done' };
        case 'wait':
          await this.#probe;
          return { ...command, answer: 'done' };
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#failure = error;
      return { ...command, failed: error.sent ? 'unknown' : 'unsent' };
    }
  }

  /** The one place that changes what is known, so that Postgres is never considered down without a probe (invariant 8). */
  #learn(knowledge: Knowledge): void {
    const since = this.#knowledge.downSince;
    this.#knowledge = knowledge;
    const isDown = knowledge.downSince !== undefined;
    if (isDown && since === undefined)
      this.#log.warn({ err: this.#failure }, 'Postgres does not answer: visits wait');
    if (!isDown && since !== undefined) {
      this.#log.info({ awayMs: Math.round(this.#clock.now() - since) }, 'Postgres is back');
    }
    if (isDown && !this.#closed) this.#probe ??= this.#probePostgres();
  }

  /** By a write, because a standby and a locked row allow a read. */
  async #probePostgres(): Promise<void> {
    await this.#sleep(PROBE_MS);
    const isUp = await this.#canWrite();
    this.#probe = undefined;
    this.#learn(isUp ? revived(this.#knowledge) : this.#knowledge);
  }

  /** Never throws, or the next probe would not come. */
  async #canWrite(): Promise<boolean> {
    return this.#postgres.ping().then(
      () => true,
      () => false,
    );
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.after(ms, resolve));
  }
}
