import { readFile } from 'node:fs/promises';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Unavailable } from '../../../web/src/unavailable.ts';
import { type Store, startPostgres, startRedis } from '../../support/containers.ts';
import { AS_NEW } from '../as-new.ts';
import { Replica } from './replica.ts';

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Visits one after the other: nobody comes between them. */
async function visits({ counter }: Replica, n: number): Promise<number[]> {
  const seen: number[] = [];
  for (let i = 0; i < n; i++) seen.push(await counter.visit());
  return seen;
}

describe('Counter', () => {
  let redis: Store;
  let postgres: Store;
  let rawRedis: Redis;
  let rawPostgres: Client;

  beforeAll(async () => {
    [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  });
  afterAll(async () => {
    await Promise.all([redis[Symbol.asyncDispose](), postgres[Symbol.asyncDispose]()]);
  });
  beforeEach(async () => {
    rawRedis = new Redis(redis.url).on('error', () => {});
    await rawRedis.flushall();
    rawPostgres = new Client(postgres.url).on('error', () => {});
    await rawPostgres.connect();
    await rawPostgres.query(AS_NEW);
  });
  afterEach(async () => {
    rawRedis.disconnect();
    await rawPostgres.end();
  });

  async function sequencer(): Promise<string> {
    const { rows } = await rawPostgres.query('SELECT counting FROM visitors');
    return rows[0].counting;
  }

  /** Visits until Redis is the sequencer again: the numbers seen on the way. */
  async function untilRedisIsBack(replica: Replica): Promise<number[]> {
    const seen: number[] = [];
    await vi.waitFor(
      async () => {
        seen.push(await replica.counter.visit());
        expect(await sequencer()).toBe('redis');
      },
      { timeout: 20_000, interval: 50 },
    );
    return seen;
  }

  it('gives exactly the numbers 1 to 10,000 to 10,000 visits, 64 at a time, on three replicas', async () => {
    await using a = new Replica(redis, postgres);
    await using b = new Replica(redis, postgres);
    await using c = new Replica(redis, postgres);
    const replicas = [a, b, c];
    const seen: number[] = [];
    let sent = 0;
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        while (sent < 10_000) {
          const replica = replicas[sent++ % 3] ?? a;
          seen.push(await replica.counter.visit());
        }
      }),
    );
    expect(seen.toSorted((x, y) => x - y)).toEqual(numbers(1, 10_000));
    expect(await rawRedis.get('visitor_count')).toBe('10000');
    expect((await a.postgres.read()).count).toBe(10_000);
  });

  it('goes on where it was when Redis lost its memory', async () => {
    await using replica = new Replica(redis, postgres);
    expect(await visits(replica, 3)).toEqual([1, 2, 3]);
    await rawRedis.flushall();
    expect(await visits(replica, 3)).toEqual([4, 5, 6]);
    expect(await rawRedis.get('visitor_count')).toBe('6');
  });

  it('goes on where it was when only the count in Redis was deleted', async () => {
    await using replica = new Replica(redis, postgres);
    expect(await visits(replica, 3)).toEqual([1, 2, 3]);
    await rawRedis.del('visitor_count');
    expect(await visits(replica, 3)).toEqual([4, 5, 6]);
  });

  it('goes on in Postgres when Redis is killed, and in Redis when it is back', async () => {
    await using replica = new Replica(redis, postgres);
    expect(await visits(replica, 3)).toEqual([1, 2, 3]);
    await redis.kill();
    expect(await visits(replica, 3)).toEqual([4, 5, 6]);
    expect(await sequencer()).toBe('postgres');
    await redis.start();
    const seen = await untilRedisIsBack(replica);
    expect(seen).toEqual(numbers(7, 6 + seen.length));
    expect(await rawRedis.get('visitor_count')).toBe(String(6 + seen.length));
  });

  it('goes on in Postgres while Redis is paused, and in Redis afterwards', async () => {
    await using replica = new Replica(redis, postgres);
    expect(await visits(replica, 3)).toEqual([1, 2, 3]);
    await redis.pause();
    try {
      expect(await visits(replica, 3)).toEqual([4, 5, 6]);
    } finally {
      await redis.unpause();
    }
    const seen = await untilRedisIsBack(replica);
    expect(seen).toEqual(numbers(7, 6 + seen.length));
  });

  it('numbers visits uniquely and in order when one of two replicas is cut off from Redis', async () => {
    await using redisThatIsNotThere = await startRedis();
    await using cut = new Replica(redisThatIsNotThere, postgres);
    await using whole = new Replica(redis, postgres);
    await redisThatIsNotThere.kill();
    const seen: number[] = [];
    for (let i = 0; i < 100; i++) seen.push(await (i % 2 ? cut : whole).counter.visit());
    expect(seen).toEqual(numbers(1, 100));
  });

  it('lets visits wait for a Postgres that is killed and comes back within the wait', async () => {
    await using replica = new Replica(redis, postgres);
    expect(await visits(replica, 3)).toEqual([1, 2, 3]);
    await postgres.kill();
    const waiting = Promise.all([replica.counter.visit(), replica.counter.visit()]);
    await postgres.start();
    expect((await waiting).toSorted()).toEqual([4, 5]);
    expect(await visits(replica, 1)).toEqual([6]);
  });

  it('refuses visits when Postgres is away for longer than the wait, then at once, until it is back', async () => {
    await using replica = new Replica(redis, postgres, { waitMs: 300 });
    expect(await visits(replica, 3)).toEqual([1, 2, 3]);
    await postgres.pause();
    try {
      await expect(replica.counter.visit()).rejects.toThrow(Unavailable);
      // No longer waits for its own 300 ms: refused because Postgres is known to be away.
      await vi.waitFor(() => expect(replica.counter.visit()).rejects.toThrow('Postgres is away'), 10_000);
    } finally {
      await postgres.unpause();
    }
    const next = await vi.waitFor(() => replica.counter.visit(), { timeout: 10_000, interval: 50 });
    // Attempts that failed may have been counted, and may still be.
    expect(next).toBeGreaterThanOrEqual(4);
    expect((await replica.postgres.read()).count).toBeGreaterThanOrEqual(next);
  });

  it('answers after both stores were killed and came back, without Redis knowing anything', async () => {
    await using replica = new Replica(redis, postgres);
    expect(await visits(replica, 3)).toEqual([1, 2, 3]);
    await Promise.all([redis.kill(), postgres.kill()]);
    const waiting = replica.counter.visit();
    await Promise.all([redis.start(), postgres.start()]);
    expect(await waiting).toBe(4);
  });

  it('starts from 1 after a reset, in both stores', async () => {
    await using replica = new Replica(redis, postgres);
    expect(await visits(replica, 3)).toEqual([1, 2, 3]);
    await replica.counter.reset('one');
    expect(await rawRedis.get('visitor_count')).toBe('0');
    expect((await replica.postgres.read()).count).toBe(0);
    expect(await visits(replica, 3)).toEqual([1, 2, 3]);
  });

  it('does not reset again when a reset is repeated, on another replica too', async () => {
    await using a = new Replica(redis, postgres);
    await using b = new Replica(redis, postgres);
    await a.counter.reset('repeated');
    expect(await visits(a, 3)).toEqual([1, 2, 3]);
    await b.counter.reset('repeated');
    expect(await visits(b, 1)).toEqual([4]);
  });

  it('resets while Redis is down', async () => {
    await using replica = new Replica(redis, postgres);
    expect(await visits(replica, 3)).toEqual([1, 2, 3]);
    await redis.kill();
    await replica.counter.reset('while Redis is down');
    await redis.start();
    expect(await visits(replica, 3)).toEqual([1, 2, 3]);
  });

  it('gives no number twice between resets under traffic, and 1 to the first visit after', async () => {
    await using a = new Replica(redis, postgres);
    await using b = new Replica(redis, postgres);
    for (let round = 0; round < 10; round++) {
      const traffic = [a, b].flatMap(({ counter }) => Array.from({ length: 50 }, () => counter.visit()));
      const reset = b.counter.reset(`round ${round}`);
      const seen = (await Promise.all(traffic)).toSorted((x, y) => x - y);
      await reset;
      // Each number at most twice: once before the reset, once after it.
      for (const [i, number] of seen.entries()) expect(number).not.toBe(seen[i + 2]);
      await a.counter.reset(`quiet ${round}`);
      expect(await visits(b, 1)).toEqual([1]);
    }
  });

  it('counts on past 2^31', async () => {
    await using replica = new Replica(redis, postgres);
    await rawPostgres.query('UPDATE visitors SET visitor_count = 2147483646, epoch = epoch + 1');
    expect(await visits(replica, 3)).toEqual([2147483647, 2147483648, 2147483649]);
  });

  it('stops at 2^53 - 1, where numbers stop being exact, until it is reset', async () => {
    await using replica = new Replica(redis, postgres);
    await rawPostgres.query('UPDATE visitors SET visitor_count = 9007199254740990, epoch = epoch + 1');
    expect(await visits(replica, 1)).toEqual([9007199254740991]);
    await expect(replica.counter.visit()).rejects.toThrow('reset it');
    await redis.kill();
    await expect(replica.counter.visit()).rejects.toThrow('reset it');
    await redis.start();
    await replica.counter.reset('full');
    expect(await visits(replica, 1)).toEqual([1]);
  });

  it('goes on from the count of a restored backup once a new epoch is started, as docs/counter.md says', async () => {
    await using replica = new Replica(redis, postgres);
    expect(await visits(replica, 3)).toEqual([1, 2, 3]);
    const docs = await readFile('docs/counter.md', 'utf8');
    const [, statement = ''] = /psql -c '(UPDATE visitors [^']*)'/.exec(docs) ?? [];
    // A backup of the same day, whose epoch Redis holds.
    await rawPostgres.query('UPDATE visitors SET visitor_count = 100');
    await rawPostgres.query(statement);
    expect(await visits(replica, 2)).toEqual([101, 102]);
  });

  it('takes nothing from a Redis that outlived the row it counted for', async () => {
    await using first = new Replica(redis, postgres);
    expect(await visits(first, 3)).toEqual([1, 2, 3]);
    // As a new volume has it, or a backup: an earlier epoch, another count.
    await rawPostgres.query("UPDATE visitors SET visitor_count = 100, epoch = 2, counting = 'redis'");
    await using second = new Replica(redis, postgres);
    expect(await visits(second, 2)).toEqual([101, 102]);
    expect(await visits(first, 1)).toEqual([103]);
  });

  it('answers visits while a reset cannot be done', async () => {
    await using replica = new Replica(redis, postgres);
    await rawPostgres.query('ALTER TABLE resets RENAME TO hidden');
    try {
      const reset = replica.counter.reset('hidden');
      reset.catch(() => {});
      expect(await visits(replica, 20)).toEqual(numbers(1, 20));
      expect(await sequencer()).toBe('redis');
    } finally {
      await rawPostgres.query('ALTER TABLE hidden RENAME TO resets');
    }
  });

  it('refuses visits at once while Postgres can be read and not written', async () => {
    await using replica = new Replica(redis, postgres, { waitMs: 1000 });
    expect(await visits(replica, 1)).toEqual([1]);
    await rawPostgres.query('BEGIN; SELECT FROM visitors FOR UPDATE');
    try {
      await expect(replica.counter.visit()).rejects.toThrow(Unavailable);
      await vi.waitFor(() => expect(replica.counter.visit()).rejects.toThrow('Postgres is away'), 10_000);
      expect(replica.counter.isPostgresDown).toBe(true);
    } finally {
      await rawPostgres.query('ROLLBACK');
    }
    await vi.waitFor(() => replica.counter.visit(), { timeout: 10_000, interval: 50 });
  });

  it('does not count a visitor who left before being counted', async () => {
    await using replica = new Replica(redis, postgres);
    const first = replica.counter.visit();
    const left = replica.counter.visit({ gone: () => true });
    await expect(left).rejects.toThrow('the client has gone');
    expect(await first).toBe(1);
    expect(await visits(replica, 1)).toEqual([2]);
  });

  it('answers what is under way when it is closed, and refuses what comes later', async () => {
    const replica = new Replica(redis, postgres);
    const underWay = Promise.all([replica.counter.visit(), replica.counter.visit()]);
    const closed = replica[Symbol.asyncDispose]();
    await expect(replica.counter.visit()).rejects.toThrow('shutting down');
    expect(await underWay).toEqual([1, 2]);
    await closed;
  });
});
