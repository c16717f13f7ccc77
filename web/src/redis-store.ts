import { Redis } from 'ioredis';
import { type RedisStore, StoreError } from './counter.ts';

/**
 * `visitor_epoch` holds the epoch and the server's replication id: "17 8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb".
 * Redis takes a new id whenever it starts, whatever data it loads, and whenever a replica is promoted, so data
 * that is old (a restart from disk, a failover to a replica that lagged) is never taken for current.
 * https://redis.io/docs/latest/operate/oss_and_stack/management/replication/#replication-id-explained
 */
const KEYS = ['visitor_count', 'visitor_epoch'] as const;
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

/** How long to wait before the next attempt to connect, in milliseconds. */
const RECONNECT_MS = 250;

/** The two scripts, as ioredis adds them to its client. */
interface Scripts {
  increment(...keysAndArguments: [...typeof KEYS, epoch: number, n: number]): Promise<string | null>;
  install(...keysAndArguments: [...typeof KEYS, epoch: number, count: number]): Promise<'OK' | null>;
}

/** Owns one connection to Redis, made anew whenever it is lost, until close(). */
export class RedisCounter implements RedisStore {
  readonly #client: Redis & Scripts;

  /**
   * @param url redis:// or rediss:// (TLS)
   * @param timeoutMs after which a command is given up and the connection made anew
   */
  constructor(url: string, timeoutMs: number) {
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
      // Ask a Redis that loads its data again soon: 10 s by default would be 10 s in the fallback.
      maxLoadingRetryTime: RECONNECT_MS,
      // As text: ioredis 6.0.0 reads 9007199254740991 as 9007199254740992.
      stringNumbers: true,
      scripts: {
        increment: { lua: INCREMENT, numberOfKeys: KEYS.length },
        install: { lua: INSTALL, numberOfKeys: KEYS.length },
      },
    }) as Redis & Scripts;
    // Each failure reaches whoever asked, and ping(); without a listener the process would end.
    this.#client.on('error', () => {});
  }

  async increment(epoch: number, n: number): Promise<number | undefined> {
    const count = await answer(this.#client.increment(...KEYS, epoch, n));
    return count === null ? undefined : Number(count);
  }

  async install(epoch: number, count: number): Promise<void> {
    await answer(this.#client.install(...KEYS, epoch, count));
  }

  /** @throws StoreError when Redis does not answer. */
  async ping(): Promise<void> {
    await answer(this.#client.ping());
  }

  close(): void {
    this.#client.disconnect();
  }
}

async function answer<T>(reply: Promise<T>): Promise<T> {
  try {
    return await reply;
  } catch (error) {
    throw new StoreError(`Redis: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}
