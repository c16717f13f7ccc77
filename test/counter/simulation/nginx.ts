import { readFile } from 'node:fs/promises';
import type { Counter } from '../../../web/src/counter/counter.ts';
import type { Random } from '../../support/random.ts';
import type { Replica } from './replica.ts';
import type { VirtualTime } from './virtual-time.ts';

/** What the model shares with NGINX's configuration, in milliseconds. */
interface Limits {
  /** Of one attempt, and after which no other begins: of the quick attempts, and of the patient ones. */
  quick: { attempt: number; tries: number };
  patient: { attempt: number; tries: number };
  /** After which a request is not begun anew. */
  anew: number;
}

/** @throws Error if the configuration has no such values any more */
export async function readLimits(): Promise<Limits> {
  const [quick = '', conf = '', entrypoint = ''] = await Promise.all(
    ['quick-retry.conf', 'nginx.conf', 'entrypoint.sh'].map((file) => readFile(`nginx/${file}`, 'utf8')),
  );
  const number = (text: string, pattern: RegExp) => Number(found(text, pattern));
  const tries = (text: string) => number(text, /proxy_next_upstream_timeout (\d+)ms;/);
  const waits = number(entrypoint, /POSTGRES_WAIT_MS:-(\d+)/) - number(entrypoint, /\(wait - (\d+)\)/);
  const location = (name: string) => found(conf, new RegExp(`^ *location @${name} \\{(.*?)^    \\}`, 'ms'));
  // "^[01]\." are the requests of less than two seconds.
  const seconds = number(location('anew'), /\$request_time !~ "\^\[0(\d)\]/) + 1;
  return {
    quick: { attempt: number(quick, /proxy_read_timeout (\d+)ms;/), tries: tries(quick) },
    patient: { attempt: waits, tries: tries(location('patiently')) },
    anew: seconds * 1000,
  };
}

function found(text: string, pattern: RegExp): string {
  const [, value] = pattern.exec(text) ?? [];
  if (value === undefined)
    throw new Error(`nginx/*.conf has nothing like ${pattern}: mend the model of NGINX`);
  return value;
}

/** A request as a replica gets it. */
export type Ask<T> = (counter: Counter, gone: () => boolean, waitedMs: number) => Promise<T>;
/** What an attempt ends with instead of an answer: 503, a broken connection, silence. */
type Failure = 'refused' | 'broken' | 'silent';

/** NGINX, for a location with quick-retry.conf: asks one replica after the other quickly, then one patiently. */
export class Nginx {
  readonly #limits: Limits;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #delay: () => number;
  /** How many attempts were made besides the first of each request. */
  repeats = 0;

  constructor(limits: Limits, time: VirtualTime, random: Random, delay: () => number) {
    this.#limits = limits;
    this.#time = time;
    this.#random = random;
    this.#delay = delay;
  }

  /**
   * The answer of one of the replicas, or undefined: 503.
   * @param heldUntil what is sent before reaches no replica before
   */
  async send<T>(ask: Ask<T>, replicas: readonly Replica[], heldUntil = 0): Promise<T | undefined> {
    const { quick, patient, anew } = this.#limits;
    const started = this.#time.now();
    let first = true;
    const pass = async ({ attempt, tries }: Limits['quick']): Promise<{ answer: T } | Failure> => {
      const began = this.#time.now();
      const start = Math.floor(this.#random.draw() * replicas.length);
      let last: { answer: T } | Failure = 'broken';
      for (let i = 0; i < replicas.length && this.#time.now() - began <= tries; i++) {
        if (!first) this.repeats++;
        first = false;
        const replica = replicas[(start + i) % replicas.length] as Replica;
        last = await this.#attempt(ask, replica, attempt, began - started, heldUntil);
        if (typeof last === 'object') break;
      }
      return last;
    };
    let last = await pass(quick);
    if (typeof last !== 'object') last = await pass(patient);
    if (last === 'broken' && this.#time.now() - started < anew) last = await pass(patient);
    return typeof last === 'object' ? last.answer : undefined;
  }

  /** One attempt at one replica. */
  #attempt<T>(
    ask: Ask<T>,
    replica: Replica,
    limitMs: number,
    waitedMs: number,
    heldUntil: number,
  ): Promise<{ answer: T } | Failure> {
    const time = this.#time;
    let over = false;
    const outcome = new Promise<{ answer: T } | Failure>((resolve) => {
      // A killed replica's connections break; a paused one's do not.
      const watch = () => {
        if (over) return;
        if (replica.isAlive) time.after(10, watch);
        else resolve('broken');
      };
      const asked = () => {
        if (!replica.isAlive) return;
        const pausedMs = replica.pausedUntil - time.now();
        if (pausedMs > 0) return void time.after(pausedMs + 0.1, asked);
        ask(replica.counter, () => over, waitedMs).then(
          (answer) => time.after(this.#delay(), () => replica.isAlive && resolve({ answer })),
          () => time.after(this.#delay(), () => resolve('refused')),
        );
      };
      time.after(Math.max(heldUntil - time.now(), this.#delay()), () => {
        if (!replica.isAlive) return resolve('broken');
        asked();
        watch();
      });
      time.after(limitMs, () => resolve('silent'));
    });
    return outcome.finally(() => {
      over = true;
    });
  }
}
