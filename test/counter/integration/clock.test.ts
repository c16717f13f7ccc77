/** The clock of Postgres's host jumps, as it does when NTP corrects it or a virtual machine resumes. */
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PostgresCounter } from '../../../web/src/counter/postgres-store.ts';
import { type Store, startPostgres, startRedis } from '../../support/containers.ts';
import { until } from '../../support/faults.ts';
import { AS_NEW } from '../as-new.ts';
import { check, faultless, type Operation } from '../checker.ts';
import { Replica } from './replica.ts';

/** A clock that a test can move: these functions come before Postgres's own in the search path of whoever connects. */
const CLOCK = `
  CREATE SCHEMA clock
    CREATE TABLE ahead (by interval NOT NULL);
  INSERT INTO clock.ahead VALUES ('0');
  CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
    AS 'SELECT pg_catalog.clock_timestamp() + by FROM clock.ahead';
  CREATE FUNCTION clock.now() RETURNS timestamptz STABLE LANGUAGE sql
    AS 'SELECT pg_catalog.now() + by FROM clock.ahead';
  ALTER ROLE CURRENT_USER SET search_path = clock, public, pg_catalog;
  ALTER TABLE resets ALTER at SET DEFAULT clock.now()`;

describe('when the clock jumps by an hour', () => {
  let redis: Store;
  let postgres: Store;
  let rawRedis: Redis;
  let rawPostgres: Client;
  let store: PostgresCounter;

  beforeAll(async () => {
    [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
    rawPostgres = new Client(postgres.url);
    await rawPostgres.connect();
    await rawPostgres.query(CLOCK);
    rawRedis = new Redis(redis.url);
  });
  afterAll(async () => {
    rawRedis.disconnect();
    await rawPostgres.end();
    await Promise.all([redis[Symbol.asyncDispose](), postgres[Symbol.asyncDispose]()]);
  });
  beforeEach(async () => {
    await jumpTo('0');
    await rawPostgres.query(AS_NEW);
    await rawRedis.flushall();
    store = new PostgresCounter(postgres.url, 500);
  });
  afterEach(() => store.close());

  /** @param ahead of the true time */
  async function jumpTo(ahead: string): Promise<void> {
    await rawPostgres.query('UPDATE clock.ahead SET by = $1', [ahead]);
  }

  async function reset(id: string): Promise<unknown> {
    return store.reset((await store.read()).epoch, { id, sentAt: Date.now() });
  }

  it.each(['1 hour', '-1 hour'])('knows a reset again that is repeated (%s)', async (ahead) => {
    expect(await reset('a')).toMatchObject({ count: 0 });
    await jumpTo(ahead);
    expect(await reset('b')).toMatchObject({ count: 0 });
    await jumpTo('0');
    expect(await reset('c')).toMatchObject({ count: 0 });
    for (const id of ['a', 'b', 'c']) expect(await reset(id)).toBe('repeated');
  });

  it('begins each epoch after the last', async () => {
    const epochs = [1];
    for (const ahead of ['0', '1 hour', '-1 hour', '0']) {
      await jumpTo(ahead);
      epochs.push((await store.failBack(epochs.at(-1) ?? 0))?.epoch ?? 0);
    }
    expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
    expect(new Set(epochs).size).toBe(5);
  });

  it('counts in Postgres if Redis holds an epoch of the future, from before a backup was restored', async () => {
    const history = /master_replid:(\w+)/.exec(await rawRedis.info('replication'))?.[1];
    await rawRedis.mset('visitor_count', 5, '{visitor_count}:epoch', `${Date.now() + 3_600_000} ${history}`);
    await using replica = new Replica(redis, postgres);
    for (const number of [1, 2, 3]) expect(await replica.counter.visit()).toBe(number);
    expect((await rawPostgres.query('SELECT counting FROM visitors')).rows).toEqual([
      { counting: 'postgres' },
    ]);
  });

  it('counts on: no number twice, none out of order, none lost', async () => {
    await using ending = new AsyncDisposableStack();
    const counters = Array.from({ length: 3 }, () => ending.use(new Replica(redis, postgres)).counter);
    const history: Operation[] = [];
    async function operate(kind: Operation['kind'], act: () => Promise<Operation['result']>): Promise<void> {
      const invoked = performance.now();
      const result = await act();
      history.push({ kind, invoked, completed: performance.now(), result });
    }
    let over = false;
    const clients = Array.from({ length: 12 }, async (_, index) => {
      while (!over) await operate('visit', async () => counters[index % 3]?.visit());
    });

    for (const ahead of ['1 hour', '0', '-1 hour', '0', '1 hour']) {
      await answers(history, 100);
      // A new epoch, because Redis is empty.
      await rawRedis.flushall();
      await answers(history, 100);
      // A reset that is repeated, because its answer was lost. The clock jumps and another reset comes in between.
      await operate('reset', async () => {
        await counters[0]?.reset(`to ${ahead}`);
        await answers(history, 100);
        await jumpTo(ahead);
        await operate('reset', async () => counters[2]?.reset(`at ${ahead}`).then(() => true));
        await answers(history, 100);
        await counters[1]?.reset(`to ${ahead}`);
        return true;
      });
    }
    over = true;
    await Promise.all(clients);

    const { count, sequencer } = await store.read();
    expect(check(history, { count, surplus: Number.POSITIVE_INFINITY })).toSatisfy(faultless);
    expect(history.filter(({ result }) => result === undefined)).toEqual([]);
    expect(sequencer).toBe('redis');
  });
});

/** Until so many more came in. */
async function answers(history: Operation[], more: number): Promise<void> {
  const enough = history.length + more;
  await until(() => history.length >= enough);
}
