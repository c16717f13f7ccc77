/** What an application gets of Postgres: its answers, which errors, and how many sessions. */
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Postgres, prepared } from '../../web/src/connect-postgres.ts';
import { StoreError } from '../../web/src/unavailable.ts';
import { type Store, startPostgres } from '../support/containers.ts';
import { until } from '../support/faults.ts';

const PID = prepared('SELECT pg_backend_pid() AS pid');
const SLEEP = prepared('SELECT pg_sleep($1)');

describe('Postgres', () => {
  let server: Store;
  let admin: Client;
  beforeAll(async () => {
    server = await startPostgres();
    admin = new Client(server.url);
    await admin.connect();
  });
  afterAll(async () => {
    await admin.end();
    await server[Symbol.asyncDispose]();
  });

  /** Lends a connection, and closes it. */
  async function withPostgres(timeoutMs: number, most: number, use: (postgres: Postgres) => Promise<void>) {
    const postgres = new Postgres(server.url, timeoutMs, undefined, most);
    try {
      await use(postgres);
    } finally {
      postgres.close();
    }
  }

  it('uses the host that takes writes, of several that answer, keep silent and refuse', async () => {
    await using standby = await startPostgres();
    await using silent = await startPostgres();
    const own = new Client(standby.url);
    await own.connect();
    const { username, password } = new URL(server.url);
    await own.query(`ALTER ROLE ${username} PASSWORD '${password}'`);
    // What a standby says of itself.
    await own.query('ALTER SYSTEM SET default_transaction_read_only = on');
    await own.query('SELECT pg_reload_conf()');
    await own.end();
    await silent.pause();
    const port = (store: Store) => `localhost:${new URL(store.url).port}`;
    const ask = async (...hosts: string[]) => {
      const url = `postgres://${username}:${password}@${hosts}/linode?target_session_attrs=read-write`;
      const postgres = new Postgres(url, 1000);
      try {
        return (await postgres.query(prepared('SHOW transaction_read_only'))).rows;
      } finally {
        postgres.close();
      }
    };
    const others = [port(standby), port(silent), 'localhost:1', 'nowhere.invalid'];
    expect(await ask(...others, port(server))).toEqual([{ transaction_read_only: 'off' }]);
    await expect(ask(...others)).rejects.toThrow(/localhost takes no writes: it is a standby/);
  });

  it('hands on an error of the statement with its code, and goes on in the same session', () =>
    withPostgres(5000, 1, async (postgres) => {
      const pid = async () => (await postgres.query(PID)).rows[0].pid;
      const before = await pid();
      const failed = postgres.query(prepared('SELECT 1 / $1::int'), [0]);
      await expect(failed).rejects.toMatchObject({ name: 'error', code: '22012' });
      expect(await pid()).toBe(before);
    }));

  it('calls it unavailable when a statement takes too long, and goes on in another session', () =>
    withPostgres(300, 1, async (postgres) => {
      const before = (await postgres.query(PID)).rows[0].pid;
      await expect(postgres.query(SLEEP, [10])).rejects.toThrow(StoreError);
      expect((await postgres.query(PID)).rows[0].pid).not.toBe(before);
    }));

  it('has no more statements under way than it may, and answers all', () =>
    withPostgres(20_000, 2, async (postgres) => {
      const under = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active'
        AND application_name = 'web'`;
      const most: number[] = [];
      let ended = 0;
      const all = Promise.all(
        Array.from({ length: 6 }, () => postgres.query(SLEEP, [0.3]).then(() => ended++)),
      );
      await until(async () => {
        most.push((await admin.query(under)).rows[0].n);
        return ended === 6;
      });
      await all;
      expect(Math.max(...most)).toBe(2);
    }));

  it('refuses one that waits too long for its turn', () =>
    withPostgres(500, 1, async (postgres) => {
      // Each of the first two has the session until it is ended, after 0.4 s.
      const answers = await Promise.allSettled([1, 2, 3].map(() => postgres.query(SLEEP, [10])));
      const reasons = answers.map((answer) => (answer.status === 'rejected' ? String(answer.reason) : ''));
      expect(reasons.at(-1)).toBe('StoreError: Postgres: all 1 sessions were in use for 500 ms');
      // It left the line: the next one has its turn.
      expect((await postgres.query(PID)).rows).toHaveLength(1);
    }));
});
