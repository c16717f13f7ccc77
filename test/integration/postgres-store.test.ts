import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { StoreError } from '../../web/src/counter.ts';
import { PostgresCounter } from '../../web/src/postgres-store.ts';
import { type Store, startPostgres } from './containers.ts';

describe('PostgresCounter', () => {
  let postgres: Store;
  let raw: Client;
  let counter: PostgresCounter;

  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres[Symbol.asyncDispose]());
  beforeEach(async () => {
    raw = new Client(postgres.url);
    await raw.connect();
    await raw.query("UPDATE visitors SET visitor_count = 0, epoch = 1, counting = 'redis'");
    counter = new PostgresCounter(postgres.url, 500);
  });
  afterEach(async () => {
    await raw.end();
    await counter.close();
  });

  it('starts with the row of the original, at 0, in an epoch in which Redis counts', async () => {
    expect(await counter.read()).toEqual({ count: 0, epoch: 1, counting: 'redis' });
    const { rows } = await raw.query('SELECT site_id, site_name FROM visitors');
    expect(rows).toEqual([{ site_id: 1, site_name: 'linodeexample.com' }]);
  });

  it('raises the count and never lowers it, in whatever order numbers arrive', async () => {
    expect(await counter.record(1, 5)).toBe(true);
    expect(await counter.record(1, 3)).toBe(true);
    expect(await counter.record(1, 5)).toBe(true);
    expect((await counter.read()).count).toBe(5);
  });

  it.each([0, 2])('records nothing for epoch %i when the row is of epoch 1', async (epoch) => {
    expect(await counter.record(epoch, 5)).toBe(false);
    expect((await counter.read()).count).toBe(0);
  });

  it('moves the epoch when it takes the counting over from Redis, and not again while it counts', async () => {
    await counter.record(1, 10);
    expect(await counter.takeOver(3, true)).toEqual({ count: 13, epoch: 2, counting: 'postgres' });
    expect(await counter.takeOver(4, false)).toEqual({ count: 17, epoch: 2, counting: 'postgres' });
    expect(await counter.record(1, 11)).toBe(false);
  });

  it('takes nothing over from Redis for somebody who does not insist', async () => {
    await counter.record(1, 10);
    expect(await counter.takeOver(3, false)).toBeUndefined();
    expect(await counter.read()).toEqual({ count: 10, epoch: 1, counting: 'redis' });
  });

  it('hands back to one of those who have seen the same epoch', async () => {
    await counter.takeOver(3, true);
    const answers = await Promise.all([counter.handBack(2), counter.handBack(2), counter.handBack(2)]);
    expect(answers.filter(Boolean)).toEqual([{ count: 3, epoch: 3, counting: 'redis' }]);
  });

  it('resets once for each name, however often it is asked', async () => {
    await counter.record(1, 10);
    const answers = await Promise.all([counter.reset('a'), counter.reset('a'), counter.reset('a')]);
    expect(answers.filter(Boolean)).toEqual([{ count: 0, epoch: 2, counting: 'redis' }]);
    await counter.record(2, 4);
    expect(await counter.reset('a')).toBeUndefined();
    expect((await counter.read()).count).toBe(4);
    expect(await counter.reset('b')).toEqual({ count: 0, epoch: 3, counting: 'redis' });
  });

  it('forgets the names of resets after a day', async () => {
    await raw.query(
      "INSERT INTO resets VALUES ('old', now() - interval '25 hours'), ('young', now() - interval '23 hours')",
    );
    await counter.reset('new');
    const { rows } = await raw.query("SELECT id FROM resets WHERE id IN ('old', 'young', 'new') ORDER BY id");
    expect(rows).toEqual([{ id: 'new' }, { id: 'young' }]);
  });

  it('counts past 2^31', async () => {
    await counter.record(1, 2 ** 31 - 1);
    expect((await counter.takeOver(2, true))?.count).toBe(2 ** 31 + 1);
  });

  it('names the remedy when the row is missing', async () => {
    await raw.query('DELETE FROM visitors');
    try {
      await expect(counter.read()).rejects.toThrow('run postgres/init.sql');
    } finally {
      await raw.query("INSERT INTO visitors (site_id, site_name) VALUES (1, 'linodeexample.com')");
    }
  });

  it('gives a statement up that waits for a lock, on the server too', async () => {
    await raw.query('BEGIN; UPDATE visitors SET visitor_count = 7');
    await expect(counter.takeOver(1, true)).rejects.toThrow('statement timeout');
    await raw.query('ROLLBACK');
    expect((await counter.read()).count).toBe(0);
  });

  it('fails in bounded time while Postgres is paused, and answers again soon after', async () => {
    await counter.read();
    await postgres.pause();
    try {
      await expect(counter.record(1, 5)).rejects.toThrow(StoreError);
      await expect(counter.record(1, 5)).rejects.toThrow(StoreError);
    } finally {
      await postgres.unpause();
    }
    await vi.waitFor(() => counter.read(), { timeout: 10_000, interval: 50 });
    expect(await counter.record(1, 6)).toBe(true);
  });

  it('survives that its idle connections are cut', async () => {
    await counter.read();
    await raw.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'web'");
    await vi.waitFor(async () => expect((await counter.read()).count).toBe(0), 10_000);
  });
});
