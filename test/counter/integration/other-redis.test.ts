/** A Redis that this stack did not start: what is wrong with it is said by name, and others than Redis itself count too. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { RedisCounter } from '../../../web/src/counter/redis-store.ts';
import { type Store, startPostgres, startRedis, startValkey } from '../../support/containers.ts';
import { Web } from '../../support/web.ts';

/** As redis-cli in its container. */
async function cli({ container }: Store, ...words: string[]): Promise<string> {
  const { output, exitCode } = await container.exec(['redis-cli', '-e', ...words]);
  if (exitCode !== 0) throw new Error(output);
  return output.trim();
}

describe('a Redis that cannot be used', () => {
  let postgres: Store;
  let sound: Store;
  beforeAll(async () => {
    [postgres, sound] = await Promise.all([startPostgres(), startRedis()]);
  });
  afterAll(async () => {
    await Promise.all([postgres[Symbol.asyncDispose](), sound[Symbol.asyncDispose]()]);
  });

  /** Expects that Postgres is the sequencer, and that /readyz and one line of the log have the cause. */
  async function expectCause(url: string, cause: RegExp): Promise<void> {
    await using web = new Web({ REDIS_URL: url, DATABASE_URL: postgres.url, LOG_LEVEL: 'trace' });
    const lines = () => web.logs.filter(({ msg }) => msg === 'Redis cannot be used');
    const address = await web.address();
    // Longer than Redis is left alone after a failure: it is tried several times.
    const since = performance.now();
    while (performance.now() - since < 2500) expect((await fetch(address)).status).toBe(200);
    await vi.waitFor(() => expect(lines()).not.toEqual([]), 10_000);
    expect(await web.readiness()).toEqual({
      status: 'degraded',
      redis: expect.stringMatching(cause),
      postgres: 'up',
      sequencer: 'postgres',
    });
    expect(lines()).toEqual([expect.objectContaining({ cause: expect.stringMatching(cause) })]);
    expect(web.output).not.toMatch(/sesame|guess/);
    for (const line of web.output.trim().split('\n')) expect(() => JSON.parse(line), line).not.toThrow();
  }

  it.each([
    ['that wants a password', ['--requirepass', 'sesame'], '', /NOAUTH/],
    ['that is given a wrong password', ['--requirepass', 'sesame'], ':guess@', /WRONGPASS/],
    ['that is full', ['--maxmemory', '1'], '', /OOM command not allowed when used memory > 'maxmemory'\.$/],
    [
      'that copies another',
      ['--replicaof', '127.0.0.1 1', '--replica-serve-stale-data', 'yes'],
      '',
      /READONLY/,
    ],
    ['of a cluster that serves no slot', ['--cluster-enabled', 'yes'], '', /CLUSTERDOWN/],
    ['that may not save to its disk', ['--save', '1 1', '--dir', '/proc'], '', /MISCONF/],
  ])('%s is named', async (_what, options, login, cause) => {
    await using redis = await startRedis(...options);
    await expectCause(redis.url.replace('//', `//${login}`), cause);
  });

  it.each([
    ['whose name does not resolve', 'redis://nowhere.invalid', /getaddrinfo \S+ nowhere\.invalid/],
    ['where nothing listens', 'redis://127.0.0.1:1', /ECONNREFUSED 127\.0\.0\.1:1/],
    // Two addresses: an error of each.
    ['where nothing listens on either address', 'redis://localhost:1', /ECONNREFUSED/],
  ])('%s is named', async (_what, url, cause) => {
    await expectCause(url, cause);
  });

  it('that speaks no TLS is named', async () => {
    await expectCause(sound.url.replace('redis:', 'rediss:'), /one without TLS needs redis:\/\//);
  });

  it('of which another node of its cluster has the key is named', async () => {
    await using one = await startRedis('--cluster-enabled', 'yes');
    await using other = await startRedis('--cluster-enabled', 'yes');
    const slot = Number(await cli(one, 'CLUSTER', 'KEYSLOT', 'visitor_count'));
    await cli(one, 'CLUSTER', 'ADDSLOTSRANGE', '0', `${slot - 1}`, `${slot + 1}`, '16383');
    await cli(other, 'CLUSTER', 'ADDSLOTS', `${slot}`);
    const [network = 'bridge'] = other.container.getNetworkNames();
    await cli(one, 'CLUSTER', 'MEET', other.container.getIpAddress(network), '6379');
    await vi.waitFor(
      async () => expect(await cli(one, 'CLUSTER', 'INFO')).toContain('cluster_state:ok'),
      20_000,
    );
    await expectCause(one.url, /^(Redis: )?MOVED \d+ /);
  });

  it('that loads its data is named, also to a replica that starts meanwhile, and counts as soon as it has', async () => {
    await using redis = await startRedis('--enable-debug-command', 'yes', '--dir', '/tmp');
    const counter = new RedisCounter(redis.url, 300);
    let late: RedisCounter | undefined;
    try {
      await vi.waitFor(() => counter.ping(), 10_000);
      await cli(redis, 'DEBUG', 'POPULATE', '40000');
      // So that it takes seconds and answers meanwhile.
      const slow = ['key-load-delay', '50', 'loading-process-events-interval-bytes', '1024'];
      await cli(redis, 'CONFIG', 'SET', ...slow);
      const reloaded = cli(redis, 'DEBUG', 'RELOAD');
      const loading = (one: RedisCounter) => expect(one.ping()).rejects.toThrow('Redis: LOADING');
      await vi.waitFor(() => loading(counter), 10_000);
      const starting = new RedisCounter(redis.url, 300);
      late = starting;
      await vi.waitFor(() => loading(starting), 10_000);
      await reloaded;
      for (const one of [counter, starting]) await vi.waitFor(() => one.ping(), 10_000);
    } finally {
      counter.close();
      late?.close();
    }
  });
});

describe.each([
  ['a cluster of one node', () => startRedis('--cluster-enabled', 'yes')],
  ['Valkey', startValkey],
  ['a Redis with a password', () => startRedis('--requirepass', 'sesame')],
])('%s', (what, start) => {
  it('counts as Redis does', async () => {
    await using redis = await start();
    await using postgres = await startPostgres();
    if (what.includes('cluster')) await cli(redis, 'CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    const url = what.includes('password') ? redis.url.replace('//', '//:sesame@') : redis.url;
    await using web = new Web({ REDIS_URL: url, DATABASE_URL: postgres.url });
    const address = await web.address();
    await vi.waitFor(async () => {
      await fetch(address);
      expect(await web.readiness()).toMatchObject({ status: 'ok', sequencer: 'redis' });
    }, 20_000);
    const raw = new Redis(url);
    try {
      const before = Number(await raw.get('visitor_count'));
      expect((await fetch(address)).status).toBe(200);
      expect(await raw.get('visitor_count')).toBe(`${before + 1}`);
      expect((await raw.keys('*')).sort()).toEqual(['visitor_count', '{visitor_count}:epoch']);
    } finally {
      raw.disconnect();
    }
  });
});
