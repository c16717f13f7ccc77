import { Redis, type RedisOptions } from 'ioredis';
import type { Log } from './log.ts';
import { reason } from './reason.ts';
import { StoreError } from './unavailable.ts';

/** What Redis adds to an error in a script: the same cause has another line in each. */
const WHERE = / script: [0-9a-f]{40}, on @user_script:\d+\.?$/;

/** How long to wait before the next attempt to connect, in milliseconds. */
const RECONNECT_MS = 250;

/**
 * One connection to Redis, made anew whenever it is lost, until close(). Commands go to `client`, each within ask(), which
 * names the cause when one fails: without a connection ioredis says only that there is none.
 */
export class RedisConnection<Scripts = unknown> {
  readonly client: Redis & Scripts;
  readonly #log: Pick<Log, 'warn'>;
  /** Why there is no connection. */
  #away = 'not connected yet';
  /** Why it cannot be used, as far as that was logged since it last could be. */
  readonly #logged = new Set<string>();
  readonly #lost = () => this.#tell(this.#away);

  /**
   * @param url redis:// or rediss:// (TLS)
   * @param timeoutMs after which a command is given up and the connection made anew
   * @param options ioredis's own: `scripts` become methods of the client, whose types are `Scripts`
   */
  constructor(
    url: string,
    timeoutMs: number,
    log: Pick<Log, 'warn'> = { warn: () => {} },
    options: Pick<RedisOptions, 'scripts' | 'stringNumbers'> = {},
  ) {
    this.#log = log;
    this.client = new Redis(url, {
      // A command that is sent again after a reconnect happens twice: an increment would skip numbers. All three are
      // needed: without the second, promises never settle.
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      connectTimeout: timeoutMs,
      commandTimeout: timeoutMs,
      // A connection to a Redis that is paused or cut off looks alive: give it up, so that until a new one is
      // ready commands fail at once instead of after a time-out each.
      socketTimeout: timeoutMs,
      retryStrategy: () => RECONNECT_MS,
      // After a failover the name may lead to another server: look again instead of asking a replica for ever.
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
      // While a Redis loads its data it says so to each command. The check would hide that, and ask again after up to 10 s.
      enableReadyCheck: false,
      ...options,
    }) as Redis & Scripts;
    const tls = url.startsWith('rediss:');
    // What a connection ends with, an error or nothing, is the cause of all that fails until there is another one.
    this.client
      .on('connect', () => {
        this.#away = `the server hung up at the greeting${tls ? '' : ' (one with TLS needs rediss://)'}`;
      })
      .on('ready', () => {
        this.#away = 'the server hung up';
      })
      .on('error', (error: NodeJS.ErrnoException) => {
        const silent = tls && error.code === 'ETIMEDOUT';
        this.#away = `${reason(error)}${silent ? ' (one without TLS needs redis://)' : ''}`;
      })
      .on('close', this.#lost);
  }

  /** The reply. @throws StoreError that names why Redis cannot be used, which is logged once for each cause. */
  async ask<T>(reply: Promise<T>): Promise<T> {
    // Without a connection ioredis refuses a command at once.
    const sent = this.client.status === 'ready';
    try {
      const value = await reply;
      // Without a value it answers, but has not shown that it can be written to.
      if (value !== null) this.#logged.clear();
      return value;
    } catch (error) {
      if (this.client.status === 'ready') {
        this.#away = reason(error).replace(WHERE, '');
        this.#tell(this.#away);
      }
      throw new StoreError(`Redis: ${this.#away}`, { cause: error, sent });
    }
  }

  close(): void {
    this.client.off('close', this.#lost).disconnect();
  }

  #tell(cause: string): void {
    if (!this.#logged.has(cause)) this.#log.warn({ cause }, 'Redis cannot be used');
    this.#logged.add(cause);
  }
}
