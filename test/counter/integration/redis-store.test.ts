import { readFile, rm, writeFile } from 'node:fs/promises';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { RedisCounter } from '../../../web/src/counter/redis-store.ts';
import { StoreError } from '../../../web/src/unavailable.ts';
import { type Store, startRedis } from '../../support/containers.ts';

const TIMEOUT_MS = 300;

describe('RedisCounter', () => {
  let redis: Store;
  let raw: Redis;
  let counter: RedisCounter;

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis[Symbol.asyncDispose]());
  beforeEach(async () => {
    raw = new Redis(redis.url);
    await raw.flushall();
    counter = new RedisCounter(redis.url, TIMEOUT_MS);
    await ready(counter);
  });
  afterEach(() => {
    raw.disconnect();
    counter.close();
  });

  it('shows the count as a plain integer under visitor_count', async () => {
    await counter.install(7, 100);
    await counter.increment(7, 3);
    expect(await raw.get('visitor_count')).toBe('103');
    expect(await raw.get('{visitor_count}:epoch')).toMatch(/^7 [0-9a-f]{40}$/);
  });

  it('would give out old numbers if late installs were accepted: the condition is what refuses them', async () => {
    const source = new URL('../../../web/src/counter/redis-store.ts', import.meta.url);
    const condition = /^if held_replid == replid and .* then return false end$/m;
    const text = await readFile(source, 'utf8');
    expect(text).toMatch(condition);
    // Beside the original, whose imports it shares.
    const file = new URL('.mutant-redis-store.ts', source);
    await writeFile(file, text.replace(condition, ''));
    try {
      const mutant: typeof import('../../../web/src/counter/redis-store.ts') = await import(file.href);
      const careless = new mutant.RedisCounter(redis.url, TIMEOUT_MS);
      try {
        await ready(careless);
        await careless.install(7, 100);
        await careless.install(7, 1);
        expect(await careless.increment(7, 1)).toBe(2);
      } finally {
        careless.close();
      }
    } finally {
      await rm(file);
    }
  });

  it('replaces a count that is no number', async () => {
    await counter.install(7, 100);
    await raw.set('visitor_count', 'nonsense');
    await expect(counter.increment(7, 1)).rejects.toThrow(StoreError);
    await counter.install(8, 100);
    expect(await counter.increment(8, 1)).toBe(101);
  });

  it('fails in bounded time while Redis is paused, then at once, and answers again soon after', async () => {
    await counter.install(7, 100);
    await redis.pause();
    try {
      // At the earliest when its time is over, not when Redis goes on.
      await expect(counter.increment(7, 1)).rejects.toThrow(StoreError);
      await expect(counter.increment(7, 1)).rejects.toThrow(StoreError);
    } finally {
      await redis.unpause();
    }
    await ready(counter);
    expect(await counter.increment(7, 1)).toBeGreaterThan(100);
  });

  it('sends nothing twice when the connection breaks under way', async () => {
    await counter.install(7, 100);
    await redis.pause();
    const attempts = await Promise.allSettled([counter.increment(7, 1), counter.increment(7, 1)]);
    await redis.unpause();
    await ready(counter);
    expect(attempts.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    // Both may have arrived once each. A third would be one that was sent again.
    expect(Number(await raw.get('visitor_count'))).toBeLessThanOrEqual(102);
  });
});

describe('RedisCounter, when the data is old', () => {
  it('counts as empty after a restart from disk', async () => {
    await using redis = await startRedis('--appendonly', 'yes', '--appendfsync', 'always');
    const raw = new Redis(redis.url).on('error', () => {});
    const counter = new RedisCounter(redis.url, TIMEOUT_MS);
    try {
      await ready(counter);
      await counter.install(7, 100);
      await redis.kill();
      await redis.start();
      await ready(counter);
      expect(await raw.get('visitor_count')).toBe('100');
      expect(await counter.increment(7, 1)).toBeUndefined();
      await counter.install(8, 100);
      expect(await counter.increment(8, 1)).toBe(101);
    } finally {
      raw.disconnect();
      counter.close();
    }
  });

  it('counts as empty on a replica that was promoted', async () => {
    await using master = await startRedis();
    await using replica = await startRedis();
    const raw = new Redis(replica.url);
    const old = new RedisCounter(master.url, TIMEOUT_MS);
    const counter = new RedisCounter(replica.url, TIMEOUT_MS);
    try {
      await ready(old);
      await ready(counter);
      await raw.replicaof(ip(master), 6379);
      await vi.waitFor(
        async () => expect(await raw.info('replication')).toMatch('master_link_status:up'),
        10_000,
      );
      await old.install(7, 100);
      expect(await old.increment(7, 1)).toBe(101);
      await vi.waitFor(async () => expect(await raw.get('visitor_count')).toBe('101'), 10_000);
      await expect(counter.increment(7, 1)).rejects.toThrow('READONLY');
      await raw.replicaof('NO', 'ONE');
      // It has left the server that took no writes, to see whether the name leads to another one now.
      await ready(counter);
      expect(await counter.increment(7, 1)).toBeUndefined();
      expect(await raw.get('visitor_count')).toBe('101');
    } finally {
      raw.disconnect();
      old.close();
      counter.close();
    }
  });
});

function ip(redis: Store): string {
  const [network] = redis.container.getNetworkNames();
  return redis.container.getIpAddress(network ?? 'bridge');
}

/** Until the counter has its connection. */
async function ready(counter: RedisCounter): Promise<void> {
  await vi.waitFor(() => counter.ping(), { timeout: 10_000, interval: 20 });
}
