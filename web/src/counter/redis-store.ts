import { RedisConnection } from '../connect-redis.ts';
import type { Log } from '../log.ts';
import type { RedisStore } from './store.ts';

/**
 * The second key holds the epoch and the server's replication id: "17 8371b4fb1155b71f4a04d3e1bc3e18c4a990aeeb".
 * Redis takes a new id whenever it starts, whatever data it loads, and whenever a replica is promoted, so data
 * that is old (a restart from disk, a failover to a replica that lagged) is never taken for current.
 * https://redis.io/docs/latest/operate/oss_and_stack/management/replication/#replication-id-explained
 *
 * The braces name what a cluster places a key by: so both keys lie in one slot, as a script needs them.
 */
const KEYS = ['visitor_count', '{visitor_count}:epoch'] as const;
const SERVER = `
local count, epoch = KEYS[1], KEYS[2]
local replid = redis.call('INFO', 'replication'):match('master_replid:(%x+)')
local held = redis.call('GET', epoch) or ''
`;

// A missing count beside a valid epoch (evicted, deleted by hand) would start again from 0: it counts as empty.
const INCREMENT = `${SERVER}
if held ~= ARGV[1] .. ' ' .. replid or redis.call('EXISTS', count) == 0 then return false end
return redis.call('INCRBY', count, ARGV[2])
`;

const INSTALL = `${SERVER}
local held_epoch, held_replid = held:match('^(%d+) (%x+)$')
if held_replid == replid and tonumber(held_epoch) >= tonumber(ARGV[1]) then return false end
return redis.call('MSET', epoch, ARGV[1] .. ' ' .. replid, count, ARGV[2])
`;

// All that the two above need of a server, in a write that changes nothing: one that is full or takes no writes refuses it.
const PING = `${SERVER}
return redis.call('SETRANGE', count, 0, '')
`;

/** The scripts, as ioredis adds them to its client, whose own commands they must not replace. */
interface Scripts {
  increment(...keysAndArguments: [...typeof KEYS, epoch: number, n: number]): Promise<string | null>;
  install(...keysAndArguments: [...typeof KEYS, epoch: number, count: number]): Promise<'OK' | null>;
  pingByWriting(...keys: typeof KEYS): Promise<string>;
}

/** The counter in Redis. Owns its connection until close(). */
export class RedisCounter implements RedisStore {
  readonly #redis: RedisConnection<Scripts>;

  /** The parameters are RedisConnection's. */
  constructor(url: string, timeoutMs: number, log?: Pick<Log, 'warn'>) {
    this.#redis = new RedisConnection(url, timeoutMs, log, {
      // As text: ioredis 6.0.0 reads 9007199254740991 as 9007199254740992.
      stringNumbers: true,
      scripts: {
        increment: { lua: INCREMENT, numberOfKeys: KEYS.length },
        install: { lua: INSTALL, numberOfKeys: KEYS.length },
        pingByWriting: { lua: PING, numberOfKeys: KEYS.length },
      },
    });
  }

  async increment(epoch: number, n: number): Promise<number | undefined> {
    const count = await this.#redis.ask(this.#redis.client.increment(...KEYS, epoch, n));
    return count === null ? undefined : Number(count);
  }

  async install(epoch: number, count: number): Promise<void> {
    await this.#redis.ask(this.#redis.client.install(...KEYS, epoch, count));
  }

  async ping(): Promise<void> {
    await this.#redis.ask(this.#redis.client.pingByWriting(...KEYS));
  }

  close(): void {
    this.#redis.close();
  }
}
