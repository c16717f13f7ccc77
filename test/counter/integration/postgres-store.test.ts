import { connect, createServer, type Socket } from 'node:net';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { PostgresCounter } from '../../../web/src/counter/postgres-store.ts';
import type { Row } from '../../../web/src/counter/store.ts';
import { StoreError } from '../../../web/src/unavailable.ts';
import { type Store, startPostgres } from '../../support/containers.ts';
import { docker, inspect } from '../../support/stack.ts';
import { AS_NEW } from '../as-new.ts';

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
    await raw.query(AS_NEW);
    counter = new PostgresCounter(postgres.url, 500);
  });
  afterEach(async () => {
    await raw.end();
    await counter.close();
  });

  it('starts with the row of the original, at 0, in an epoch whose sequencer is Redis', async () => {
    expect(await counter.read()).toEqual({ count: 0, epoch: 1, sequencer: 'redis' });
    const { rows } = await raw.query('SELECT site_id, site_name FROM visitors');
    expect(rows).toEqual([{ site_id: 1, site_name: 'linodeexample.com' }]);
  });

  it('begins epochs that no earlier life of the table can have had', async () => {
    const before = Date.now();
    expect((await counter.failBack(1))?.epoch).toBeGreaterThan(before - 60_000);
    await raw.query('UPDATE visitors SET epoch = 9000000000000');
    expect((await counter.failBack(9000000000000))?.epoch).toBe(9000000000001);
  });

  it('resets after the clock was set back, though an earlier reset seems to be still to come', async () => {
    const { epoch } = (await counter.reset(1, { id: 'ahead', sentAt: Date.now() + 3_600_000 })) as {
      epoch: number;
    };
    expect(await counter.reset(epoch, { id: 'set back', sentAt: Date.now() })).toMatchObject({ count: 0 });
  });

  it('does not note the name of a reset that met another on the way', async () => {
    await raw.query('BEGIN; UPDATE visitors SET epoch = epoch + 1');
    const reset = counter.reset(1, { id: 'met', sentAt: Date.now() });
    await vi.waitFor(async () => {
      const { rows } = await raw.query('SELECT FROM pg_locks WHERE NOT granted');
      expect(rows).not.toHaveLength(0);
    });
    await raw.query('COMMIT');
    expect(await reset).toBe('moved');
    expect(await counter.reset(2, { id: 'met', sentAt: Date.now() })).toMatchObject({ count: 0 });
  });

  it('asks again for a reset that begins in the same microsecond as another', async () => {
    await raw.query(`ALTER TABLE resets ALTER at SET DEFAULT '${new Date().toISOString()}'`);
    try {
      const { epoch } = (await counter.reset(1, { id: 'first', sentAt: Date.now() })) as Row;
      expect(await counter.reset(epoch, { id: 'second', sentAt: Date.now() })).toBe('moved');
      await raw.query('ALTER TABLE resets ALTER at SET DEFAULT now()');
      expect(await counter.reset(epoch, { id: 'second', sentAt: Date.now() })).toMatchObject({ count: 0 });
    } finally {
      await raw.query('ALTER TABLE resets ALTER at SET DEFAULT now()');
    }
  });

  it('forgets the names of resets after ten minutes, but for the last thousand', async () => {
    const noted = async () =>
      (await raw.query("SELECT id FROM resets WHERE id IN ('old', 'young', 'new') ORDER BY id")).rows;
    await raw.query(
      `INSERT INTO resets SELECT id, at, at FROM (VALUES
         ('old', now() - interval '11 minutes'), ('young', now() - interval '9 minutes')) AS they (id, at)`,
    );
    await counter.reset(1, { id: 'new', sentAt: Date.now() });
    expect(await noted()).toEqual([{ id: 'new' }, { id: 'old' }, { id: 'young' }]);
    await raw.query(
      "INSERT INTO resets (id, at) SELECT n, now() - n * interval '1 ms' FROM generate_series(1, 1000) n",
    );
    await counter.reset((await counter.read()).epoch, { id: 'last', sentAt: Date.now() });
    expect(await noted()).toEqual([{ id: 'new' }, { id: 'young' }]);
  });

  it('names the remedy when the row is missing', async () => {
    await raw.query('DELETE FROM visitors');
    try {
      await expect(counter.read()).rejects.toThrow('run ./stack up, which migrates');
    } finally {
      await raw.query("INSERT INTO visitors (site_id, site_name) VALUES (1, 'linodeexample.com')");
    }
  });

  it('gives a statement up that waits for a lock, on the server too', async () => {
    await raw.query('BEGIN; UPDATE visitors SET visitor_count = 7');
    await expect(counter.incrementInFallback(1, 1)).rejects.toThrow('statement timeout');
    await raw.query('ROLLBACK');
    expect((await counter.read()).count).toBe(0);
  });

  it('fails in bounded time while Postgres is paused, and answers again soon after', async () => {
    await counter.read();
    await postgres.pause();
    try {
      await expect(counter.commit(1, 5)).rejects.toThrow(StoreError);
      await expect(counter.commit(1, 5)).rejects.toThrow(StoreError);
    } finally {
      await postgres.unpause();
    }
    await vi.waitFor(() => counter.read(), { timeout: 10_000, interval: 50 });
    expect(await counter.commit(1, 6)).toBe(true);
  });

  it('survives that its idle connections are cut', async () => {
    await counter.read();
    await raw.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'web'");
    await vi.waitFor(async () => expect((await counter.read()).count).toBe(0), 10_000);
  });
});

describe('PostgresCounter, after the life of its sessions', () => {
  /** Twenty seconds, in which a session is old. */
  const later = () => vi.advanceTimersByTimeAsync(20_000);

  let postgres: Store;
  beforeEach(async () => {
    postgres = await startPostgres();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });
  afterEach(async () => {
    vi.useRealTimers();
    await postgres[Symbol.asyncDispose]();
  });

  it('goes on in them while no new one can be opened, then changes to new ones', async () => {
    // Before Postgres, as an address that a name leads to: it can be lost for new connections alone.
    let reachable = true;
    let refused = 0;
    const proxy = createServer((client) => {
      if (!reachable) {
        refused++;
        return client.destroy();
      }
      const server = connect(Number(new URL(postgres.url).port), 'localhost');
      const close = (one: Socket, other: Socket) =>
        one.on('error', () => {}).on('close', () => other.destroy());
      close(client, server).pipe(close(server, client)).pipe(client);
    });
    await new Promise<void>((resolve) => proxy.listen(0, resolve));
    const address = proxy.address();
    const through = new URL(postgres.url);
    through.port = String(typeof address === 'object' && address?.port);
    const raw = new Client(postgres.url);
    await raw.connect();
    const sessions = async (): Promise<number[]> => {
      const { rows } = await raw.query(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'web' ORDER BY pid",
      );
      return rows.map(({ pid }) => pid);
    };
    const counter = new PostgresCounter(through.href, 5000);
    try {
      const { epoch } = await counter.read();
      await Promise.all([counter.commit(epoch, 1), counter.commit(epoch, 2)]);
      const first = await sessions();
      expect(first).toHaveLength(2);
      reachable = false;
      for (let lives = 1; lives <= 5; lives++) {
        await later();
        await vi.waitFor(() => expect(refused).toBeGreaterThanOrEqual(lives), 10_000);
        expect(await Promise.all([counter.commit(epoch, 3), counter.commit(epoch, 4)])).toEqual([true, true]);
        expect(await sessions()).toEqual(first);
      }
      reachable = true;
      await later();
      await vi.waitFor(async () => {
        const now = await sessions();
        expect(now).toHaveLength(2);
        expect(now.some((pid) => first.includes(pid))).toBe(false);
      }, 10_000);
      expect(await counter.commit(epoch, 5)).toBe(true);
      expect(await sessions()).toHaveLength(2);
    } finally {
      counter.close();
      await raw.end();
      proxy.close();
    }
  });

  it('has a session at the start and after each loss, though nobody asks', async () => {
    const raw = new Client(postgres.url);
    await raw.connect();
    const sessions = async (): Promise<number[]> =>
      (await raw.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'web'")).rows;
    const counter = new PostgresCounter(postgres.url, 500);
    try {
      await vi.waitFor(async () => expect(await sessions()).toHaveLength(1), 10_000);
      await raw.query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'web'",
      );
      expect(await sessions()).toHaveLength(0);
      await later();
      await vi.waitFor(async () => expect(await sessions()).toHaveLength(1), 10_000);
    } finally {
      await counter.close();
      await raw.end();
    }
  });

  it('leaves a Postgres that shuts down and waits for it', async () => {
    const counter = new PostgresCounter(postgres.url, 500);
    const running = async () => (await inspect(postgres.container.getId(), '{{.State.Running}}')) === 'true';
    try {
      const { epoch } = await counter.read();
      await docker('kill', '--signal=SIGTERM', postgres.container.getId());
      // It takes no new sessions, and serves this one.
      const other = () => new Client(postgres.url).on('error', () => {}).connect();
      await vi.waitFor(() => expect(other()).rejects.toThrow('shutting down'), 10_000);
      expect(await counter.commit(epoch, 1)).toBe(true);
      expect(await running()).toBe(true);
      await later();
      await vi.waitFor(async () => expect(await running()).toBe(false), 20_000);
      expect(await inspect(postgres.container.getId(), '{{.State.ExitCode}}')).toBe('0');
    } finally {
      await counter.close();
    }
  });
});
