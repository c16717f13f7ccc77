import { Redis } from 'ioredis';
import { type Log, type RedisStore, StoreError } from './counter.ts';
import { reason } from './reason.ts';

/**
 * The second key holds the epoch and the server's replication id: "17 8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb".
 * Redis takes a new id whenever it starts, whatever data it loads, and whenever a replica is promoted, so data
 * that is old (a restart from disk, a failover to a replica that lagged) is never taken for current.
 * https://redis.io/docs/latest/operate/oss_and_stack/management/replication/#replication-id-explained
 *
 * The braces name what a cluster places a key by: so both keys lie in one slot, as a script needs them.
 */
const KEYS = ['visitor_count', '{visitor_count}:epoch'] as const;
const HISTORY = `
local count, epoch = KEYS[1], KEYS[2]
local history = redis.call('INFO', 'replication'):match('master_replid:(%x+)')
local held = redis.call('GET', epoch) or ''
`;

// A missing count beside a valid epoch (evicted, deleted by hand) would start again from 0: it counts as empty.
const INCREMENT = `${HISTORY}
if held ~= ARGV[1] .. ' ' .. history or redis.call('EXISTS', count) == 0 then return false end
return redis.call('INCRBY', count, ARGV[2])
`;

const INSTALL = `${HISTORY}
local held_epoch, held_history = held:match('^(%d+) (%x+)$')
if held_history == history and tonumber(held_epoch) >= tonumber(ARGV[1]) then return false end
return redis.call('MSET', epoch, ARGV[1] .. ' ' .. history, count, ARGV[2])
`;

// All that the two above need of a server, in a write that changes nothing: one that is full or takes no writes refuses it.
const PROBE = `${HISTORY}
return redis.call('SETRANGE', count, 0, '')
`;

/** What Redis adds to an error in a script: the same cause has another line in each. */
const WHERE = / script: [0-9a-f]{40}, on @user_script:\d+\.?$/;

/** How long to wait before the next attempt to connect, in milliseconds. */
const RECONNECT_MS = 250;

/** The scripts, as ioredis adds them to its client. */
interface Scripts {
  increment(...keysAndArguments: [...typeof KEYS, epoch: number, n: number]): Promise<string | null>;
  install(...keysAndArguments: [...typeof KEYS, epoch: number, count: number]): Promise<'OK' | null>;
  probe(...keys: typeof KEYS): Promise<string>;
}

/** Owns one connection to Redis, made anew whenever it is lost, until close(). */
export class RedisCounter implements RedisStore {
  readonly #client: Redis & Scripts;
  readonly #log: Pick<Log, 'warn'>;
  /** Why there is no connection. */
  #away = 'not connected yet';
  /** Why it cannot be used, as far as that was logged since it last could be. */
  readonly #logged = new Set<string>();
  readonly #lost = () => this.#tell(this.#away);

  /**
   * @param url redis:// or rediss:// (TLS)
   * @param timeoutMs after which a command is given up and the connection made anew
   */
  constructor(url: string, timeoutMs: number, log: Pick<Log, 'warn'> = { warn: () => {} }) {
    this.#log = log;
    this.#client = new Redis(url, {
      // A command that is sent again after a reconnect happens twice: an increment would skip numbers, an install
      // would bring back old ones. All three are needed: without the second, promises never settle.
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
      // As text: ioredis 6.0.0 reads 9007199254740991 as 9007199254740992.
      stringNumbers: true,
      scripts: {
        increment: { lua: INCREMENT, numberOfKeys: KEYS.length },
        install: { lua: INSTALL, numberOfKeys: KEYS.length },
        probe: { lua: PROBE, numberOfKeys: KEYS.length },
      },
    }) as Redis & Scripts;
    const tls = url.startsWith('rediss:');
    // What a connection ends with, an error or nothing, is the cause of all that fails until there is another one.
    this.#client
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

  async increment(epoch: number, n: number): Promise<number | undefined> {
    const count = await this.#answer(this.#client.increment(...KEYS, epoch, n));
    return count === null ? undefined : Number(count);
  }

  async install(epoch: number, count: number): Promise<void> {
    await this.#answer(this.#client.install(...KEYS, epoch, count));
  }

  /** @throws StoreError when Redis does not answer, or cannot be written to. */
  async ping(): Promise<void> {
    await this.#answer(this.#client.probe(...KEYS));
  }

  close(): void {
    this.#client.off('close', this.#lost).disconnect();
  }

  /** Without a connection ioredis says only that there is none: the cause is what ended it. */
  async #answer<T>(reply: Promise<T>): Promise<T> {
    try {
      const value = await reply;
      // Without a value it answers, but has not shown that it can be written to.
      if (value !== null) this.#logged.clear();
      return value;
    } catch (error) {
      if (this.#client.status === 'ready') {
        this.#away = reason(error).replace(WHERE, '');
        this.#tell(this.#away);
      }
      throw new StoreError(`Redis: ${this.#away}`, { cause: error });
    }
  }

  /** Once for each cause, not for each visit. */
  #tell(cause: string): void {
    if (!this.#logged.has(cause)) this.#log.warn({ cause }, 'Redis cannot be used');
    this.#logged.add(cause);
  }
}
