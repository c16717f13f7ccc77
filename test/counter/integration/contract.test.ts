import { Redis } from 'ioredis';
import { Client } from 'pg';
import { vi } from 'vitest';
import { PostgresCounter } from '../../../web/src/counter/postgres-store.ts';
import { RedisCounter } from '../../../web/src/counter/redis-store.ts';
import { startPostgres, startRedis } from '../../support/containers.ts';
import { AS_NEW } from '../as-new.ts';
import { postgresContract, redisContract } from '../contract.ts';

redisContract('Redis', async () => {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const raw = new Redis(redis.url);
  stack.defer(() => raw.disconnect());
  const store = new RedisCounter(redis.url, 1000);
  stack.defer(() => store.close());
  await vi.waitFor(() => store.ping(), { timeout: 10_000, interval: 20 });
  const owned = stack.move();
  return {
    store,
    empty: async () => void (await raw.flushall()),
    evictTheCount: async () => void (await raw.del('visitor_count')),
    async changeServers() {
      // A replica that is promoted keeps its keys and takes a new replication id. Its master was nobody.
      await raw.replicaof('127.0.0.1', 1);
      await raw.replicaof('NO', 'ONE');
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
});

postgresContract('Postgres', async () => {
  await using stack = new AsyncDisposableStack();
  const postgres = stack.use(await startPostgres());
  const raw = new Client(postgres.url);
  await raw.connect();
  stack.defer(() => raw.end());
  const store = new PostgresCounter(postgres.url, 1000);
  stack.defer(() => store.close());
  const owned = stack.move();
  return {
    store,
    empty: async () => void (await raw.query(AS_NEW)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
});
