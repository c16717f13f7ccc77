import { Resolver } from 'node:dns/promises';
import { Agent, get } from 'node:http';
import { text } from 'node:stream/consumers';
import { Exposition } from './exposition.ts';
import type { Replicas } from './replicas.ts';

/** Each replica is asked so often (ms), and given up after so long. Its stores may take 0.9 s to fail. */
const EVERY_MS = 500;
const GIVE_UP_MS = 3000;
const DNS_MS = 400;

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

/** What a server answers, whatever its status is. */
export async function ask(host: string, port: number, path: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  get({ host, port, path, agent, signal: AbortSignal.timeout(GIVE_UP_MS) }, (response) => {
    text(response).then(resolve, reject);
  }).once('error', reject);
  return promise;
}

/** Asks all replicas under a name, twice a second, and never one a second time while it has not answered. */
export class Watcher {
  readonly #replicas: Replicas;
  readonly #name: string;
  readonly #port: number;
  readonly #asked = new Set<string>();
  readonly #resolver = new Resolver({ timeout: DNS_MS, tries: 1 });
  readonly #timer: NodeJS.Timeout;
  #listed: string[] | undefined;
  #isResolving = false;

  constructor(replicas: Replicas, name: string, port: number) {
    this.#replicas = replicas;
    this.#name = name;
    this.#port = port;
    this.#timer = setInterval(() => this.#turn(), EVERY_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#resolver.cancel();
    agent.destroy();
  }

  #turn(): void {
    if (!this.#isResolving) this.#resolve();
    for (const address of this.#listed ?? []) if (!this.#asked.has(address)) this.#ask(address);
    this.#replicas.check(this.#listed);
  }

  async #resolve(): Promise<void> {
    this.#isResolving = true;
    this.#listed = await this.#resolver.resolve4(this.#name).catch((error: NodeJS.ErrnoException) =>
      // Docker knows of none. Any other failure tells nothing.
      error.code === 'ENOTFOUND' || error.code === 'ENODATA' ? [] : undefined,
    );
    this.#isResolving = false;
  }

  async #ask(address: string): Promise<void> {
    this.#asked.add(address);
    try {
      const metrics = new Exposition(await ask(address, this.#port, '/metrics'));
      // Only what is not as it should be has a cause.
      const isWell = metrics.label('app_status', 'status') === 'ok';
      const causes = isWell ? {} : JSON.parse(await ask(address, this.#port, '/readyz'));
      const { redis = 'up', postgres = 'up' } = causes;
      this.#replicas.hear(address, { metrics, redis: String(redis), postgres: String(postgres) });
    } catch {
      this.#replicas.miss(address);
    } finally {
      this.#asked.delete(address);
    }
  }
}
