import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Store, startPostgres, startRedis } from '../../support/containers.ts';
import { Web } from '../../support/web.ts';

describe('the process', () => {
  let redis: Store;
  let postgres: Store;

  beforeAll(async () => {
    [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  });
  afterAll(async () => {
    await Promise.all([redis[Symbol.asyncDispose](), postgres[Symbol.asyncDispose]()]);
  });

  const start = (env: NodeJS.ProcessEnv = {}) =>
    new Web({ REDIS_URL: redis.url, DATABASE_URL: postgres.url, ...env });

  it('stops at once with exit code 1 and one message that lists every fault of its configuration', async () => {
    await using web = start({ PORT: 'eighty', LOG_LEVEL: 'loud', POSTGRES_WAIT_MS: '-1' });
    expect((await web.exit()).code).toBe(1);
    expect(web.output.match(/ {2}- /g)).toHaveLength(3);
    for (const name of ['PORT', 'LOG_LEVEL', 'POSTGRES_WAIT_MS']) expect(web.output).toContain(`${name} is`);
    expect(web.output).not.toContain('    at ');
  });

  it('stops with exit code 1 and the remedy when its port is taken', async () => {
    await using first = start();
    const { port } = new URL(await first.address());
    await using second = start({ PORT: port });
    expect((await second.exit()).code).toBe(1);
    expect(second.output).toContain('set PORT to another');
  });

  it('answers a request that comes on an idle connection while it shuts down, and closes that with the answer', async () => {
    await using web = start();
    const { hostname, port } = new URL(await web.address());
    const socket = connect(Number(port), hostname).setEncoding('utf8');
    let heard = '';
    socket.on('data', (text: string) => {
      heard += text;
    });
    const visit = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';
    socket.write(visit);
    await vi.waitFor(() => expect(heard).toContain('"ok"'));
    expect(heard).toContain('keep-alive');
    heard = '';
    web.kill('SIGTERM');
    await vi.waitFor(() => expect(web.output).toContain('shutting down'));
    socket.write(visit);
    await once(socket, 'end');
    expect(heard).toMatch(/^HTTP\/1\.1 200 [\s\S]*Connection: close\r\n/);
    expect((await web.exit()).code).toBe(0);
  });

  it('logs one JSON object a line', async () => {
    await using web = start({ LOG_LEVEL: 'debug' });
    await fetch(await web.address(), { headers: { 'X-Request-Id': 'abc' } });
    await vi.waitFor(() =>
      expect(web.logs).toContainEqual(expect.objectContaining({ msg: 'visit', requestId: 'abc' })),
    );
  });

  it('says what is down, and counts all the same when it is Redis', async () => {
    await using redis = await startRedis();
    await using web = start({ REDIS_URL: redis.url });
    await vi.waitFor(async () => expect(await web.readiness()).toMatchObject({ status: 'ok' }), 10_000);
    await redis.kill();
    expect(await web.readiness()).toMatchObject({ status: 'degraded', postgres: 'up' });
    expect((await fetch(await web.address())).status).toBe(200);
    expect((await fetch(`${await web.address()}/healthz`)).status).toBe(200);
    await redis.start();
    // It returns with the visits.
    await vi.waitFor(async () => {
      await fetch(await web.address());
      expect(await web.readiness()).toMatchObject({ status: 'ok', sequencer: 'redis' });
    }, 10_000);
  });

  it('is ready again once another replica has failed back, without a visit of its own', async () => {
    await using redis = await startRedis();
    await using idle = start({ REDIS_URL: redis.url });
    await using busy = start({ REDIS_URL: redis.url });
    await vi.waitFor(async () => expect(await idle.readiness()).toMatchObject({ status: 'ok' }), 10_000);
    await redis.kill();
    expect((await fetch(await idle.address())).status).toBe(200);
    expect(await idle.readiness()).toMatchObject({ status: 'degraded', sequencer: 'postgres' });
    await redis.start();
    await vi.waitFor(async () => {
      await fetch(await busy.address());
      expect(await busy.readiness()).toMatchObject({ status: 'ok', sequencer: 'redis' });
    }, 10_000);
    await vi.waitFor(
      async () => expect(await idle.readiness()).toMatchObject({ status: 'ok', sequencer: 'redis' }),
      10_000,
    );
  });

  it('answers every visit though Postgres is killed under traffic, and lives on', async () => {
    // A start of Postgres takes seconds where the machine is busy.
    await using web = start({ POSTGRES_WAIT_MS: '20000' });
    const address = await web.address();
    let visiting = true;
    const statuses = new Set<number>();
    const traffic = Promise.all(
      Array.from({ length: 8 }, async () => {
        while (visiting) statuses.add((await fetch(address)).status);
      }),
    );
    for (let kills = 0; kills < 3; kills++) {
      await postgres.kill();
      await postgres.start();
      await vi.waitFor(async () => expect((await web.readiness()).postgres).toBe('up'), 20_000);
    }
    visiting = false;
    await traffic;
    expect([...statuses]).toEqual([200]);
    expect(web.output).not.toContain('uncaught');
  });

  it('is unavailable without Postgres, and says so with 503 and Retry-After in plain text', async () => {
    await using web = start({
      DATABASE_URL: 'postgres://linode:hunter2@127.0.0.1:1/linode',
      POSTGRES_WAIT_MS: '200',
    });
    const visit = await fetch(await web.address());
    expect(visit.status).toBe(503);
    expect(visit.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(visit.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(await web.readiness()).toMatchObject({ status: 'unavailable' });
    expect((await fetch(`${await web.address()}/healthz`)).status).toBe(200);
  });

  it('never writes a password, not even one that is refused', async () => {
    const wrong = new URL(postgres.url);
    wrong.password = 'hunter2';
    const redisWithPassword = new URL(redis.url);
    redisWithPassword.password = 'hunter3';
    const env = {
      DATABASE_URL: wrong.href,
      REDIS_URL: redisWithPassword.href,
      LOG_LEVEL: 'trace',
      POSTGRES_WAIT_MS: '300',
    };
    await using web = start(env);
    expect((await fetch(await web.address())).status).toBe(503);
    expect((await web.readiness()).status).toBe('unavailable');
    web.kill('SIGTERM');
    await web.exit();
    expect(web.output).toContain('password authentication failed');
    expect(web.output).not.toMatch(/hunter/);
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'answers what is under way and exits with 0 on %s',
    async (signal) => {
      await using web = start();
      const address = await web.address();
      const before = await (await fetch(address)).text();
      // Under way: Postgres does not answer until it goes on.
      await postgres.pause();
      const visits = Array.from({ length: 20 }, () => fetch(address));
      await vi.waitFor(() => expect(web.output).toContain('Postgres does not answer'), 5000);
      web.kill(signal);
      await vi.waitFor(() => expect(web.output).toContain('shutting down'), 5000);
      await vi.waitFor(() => expect(fetch(address)).rejects.toThrow('fetch failed'), 5000);
      await postgres.unpause();
      const bodies = await Promise.all(visits.map(async (visit) => (await visit).text()));
      expect(bodies.filter((body) => body.startsWith('Hello Linode!'))).toHaveLength(20);
      expect(new Set([before, ...bodies]).size).toBe(21);
      expect(await web.exit()).toEqual({ code: 0, signal: null });
      expect(web.logs.at(-1)?.msg).toBe('stopped');
    },
  );

  it('serves on the host without Docker, Redis or Postgres, and keeps its count', async () => {
    const data = await mkdtemp(join(tmpdir(), 'data-'));
    try {
      for (const number of [1, 2]) {
        await using web = new Web({ PORT: '0', DATA: data }, 'dev/host.ts');
        const address = await web.address();
        // Beside the readiness check, which has a connection of its own to the one session that PGlite is.
        const [visit, readiness] = await Promise.all([fetch(address), web.readiness()]);
        expect(await visit.text()).toContain(`viewed ${number} time(s)`);
        expect(readiness).toMatchObject({ status: 'degraded', redis: 'not configured', postgres: 'up' });
        expect(web.output).toContain('running without Redis');
        web.kill('SIGTERM');
        expect((await web.exit()).code).toBe(0);
      }
    } finally {
      await rm(data, { recursive: true });
    }
  });

  it('ends at once on a second signal', async () => {
    await using web = start();
    const address = await web.address();
    await postgres.pause();
    try {
      const visit = fetch(address);
      visit.catch(() => {});
      await vi.waitFor(() => expect(web.output).toContain('Postgres does not answer'), 5000);
      web.kill('SIGTERM');
      await vi.waitFor(() => expect(web.output).toContain('shutting down'), 5000);
      web.kill('SIGTERM');
      expect((await web.exit()).code).toBe(1);
      await expect(visit).rejects.toThrow();
    } finally {
      await postgres.unpause();
    }
  });
});
