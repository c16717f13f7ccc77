import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readConfig, Settings } from '../../../web/src/config.ts';
import { PostgresCounter } from '../../../web/src/counter/postgres-store.ts';
import type { Store } from '../../support/containers.ts';
import { certificate, libpq, PASSWORD, startTlsPostgres, startTlsRedis } from '../../support/tls-stores.ts';
import { Web } from '../../support/web.ts';

/** Postgres without TLS, with it for who asks for it, and with nothing else. */
const SERVERS = { off: '', on: '-c ssl=on', only: '-c ssl=on -c hba_file=/tls/hba' };

/** What web and libpq are given: the file of an authority, and a name of the server. */
const GIVEN = [
  { what: 'no authority' },
  { what: "the server's authority", root: 'ca.pem' },
  {
    what: "the server's authority, and another name than the certificate's",
    root: 'ca.pem',
    host: '127.0.0.1',
  },
  { what: 'another authority', root: 'other.pem' },
];

/** For each of these, on a server with TLS off, on and only: p a session without TLS, t with it, - none. */
const LIBPQ: [mode: string | undefined, ...outcomes: string[]][] = [
  ['disable', 'p p -', 'p p -', 'p p -', 'p p -'],
  ['allow', 'p p t', 'p p t', 'p p t', 'p p -'],
  ['prefer', 'p t t', 'p t t', 'p t t', 'p p -'],
  [undefined, 'p t t', 'p t t', 'p t t', 'p p -'],
  ['require', '- t t', '- t t', '- t t', '- - -'],
  ['verify-ca', '- - -', '- t t', '- t t', '- - -'],
  ['verify-full', '- - -', '- t t', '- - -', '- - -'],
];

describe('TLS', () => {
  let directory: string;
  let redis: Store;
  let postgres: Record<keyof typeof SERVERS, Store>;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tls-'));
    const { cert, private: key } = await certificate('localhost');
    const contents = {
      'ca.pem': cert,
      'key.pem': key,
      'other.pem': (await certificate('localhost')).cert,
      hba: 'local all all trust\nhostssl all all all scram-sha-256',
    };
    for (const [name, content] of Object.entries(contents)) await writeFile(join(directory, name), content);
    const [off, on, only] = await Promise.all(
      Object.values(SERVERS).map((options) => startTlsPostgres(contents, options)),
    );
    if (!off || !on || !only) throw new Error('a Postgres has not started');
    postgres = { off, on, only };
    redis = await startTlsRedis(contents);
  });
  afterAll(async () => {
    await Promise.all([redis, ...Object.values(postgres)].map((one) => one[Symbol.asyncDispose]()));
    await rm(directory, { recursive: true });
  });

  /** What web makes of its settings. */
  async function web({ url }: Store, env: NodeJS.ProcessEnv): Promise<string> {
    let counter: PostgresCounter;
    const named = `web ${Math.random()}`;
    try {
      const target = new URL(readConfig(new Settings(env)).postgresUrl);
      target.searchParams.set('application_name', named);
      counter = new PostgresCounter(target.href, 5000);
    } catch {
      return '-';
    }
    const observer = new Client({
      connectionString: url,
      ssl: url === postgres.only.url && { rejectUnauthorized: false },
    });
    await observer.connect();
    try {
      await counter.read();
      const { rows } = await observer.query(
        'SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = $1',
        [named],
      );
      return rows[0].ssl ? 't' : 'p';
    } catch (error) {
      if (error instanceof Error && error.name === 'StoreError') return '-';
      throw error;
    } finally {
      await counter.close();
      await observer.end();
    }
  }

  describe.each(LIBPQ)('sslmode=%s', (mode, ...outcomes) => {
    it.each(GIVEN.map((given, i) => ({ ...given, outcome: outcomes[i] })))(
      'with $what is $outcome for web, in a URL and in parts, as for libpq',
      async ({ root, host, outcome }) => {
        const seen: Record<string, string[]> = { libpq: [], url: [], parts: [] };
        for (const server of Object.values(postgres)) {
          const sslmode = mode ? `sslmode=${mode}&` : '';
          const parameters = (path: string) => `${sslmode}${root ? `sslrootcert=${path}/${root}` : ''}`;
          const target = new URL(`${server.url}?${parameters(directory)}`);
          if (host) target.hostname = host;
          const login = {
            PGUSER: 'linode',
            PGPASSWORD: PASSWORD,
            PGHOST: target.hostname,
            PGPORT: target.port,
          };
          const tls = { PGSSLMODE: mode, PGSSLROOTCERT: root && join(directory, root) };
          seen.libpq?.push(await libpq(server, parameters('/tls'), host));
          seen.url?.push(await web(server, { DATABASE_URL: target.href }));
          seen.parts?.push(await web(server, { ...login, ...tls }));
        }
        const all = outcome?.split(' ');
        expect(seen).toEqual({ libpq: all, url: all, parts: all });
      },
    );
  });

  /** A process that trusts this authority alone. */
  const start = (authority: string, sslmode: string, sslrootcert = join(directory, authority)) =>
    new Web({
      NODE_EXTRA_CA_CERTS: join(directory, authority),
      REDIS_URL: redis.url,
      DATABASE_URL: `${postgres.on.url}?sslmode=${sslmode}&sslrootcert=${sslrootcert}`,
    });

  it.each<[mode: string, root: string | undefined]>([
    ['allow', undefined],
    ['prefer', undefined],
    ['require', undefined],
    ['verify-ca', undefined],
    ['verify-full', undefined],
    ['verify-full', 'system'],
  ])('the process reaches both stores with sslmode=%s, and writes only JSON', async (mode, root) => {
    await using web = start('ca.pem', mode, root);
    await vi.waitFor(
      async () => expect(await web.readiness()).toMatchObject({ status: 'ok', redis: 'up', postgres: 'up' }),
      { timeout: 20_000, interval: 100 },
    );
    expect(await (await fetch(await web.address())).text()).toMatch(/\d time\(s\)/);
    for (const line of web.output.trim().split('\n')) expect(() => JSON.parse(line), line).not.toThrow();
  });

  it.each([undefined, 'system'])(
    'trusts no server whose authority it does not know, and says so, with sslrootcert=%s',
    async (root) => {
      await using web = start('other.pem', 'verify-full', root);
      await vi.waitFor(async () => {
        expect(await web.readiness()).toMatchObject({
          status: 'unavailable',
          redis: expect.stringMatching(/self-signed certificate/),
          postgres: expect.stringMatching(/self-signed certificate/),
        });
      }, 10_000);
    },
  );

  it('says what is wrong when it asks a Redis with TLS without it', async () => {
    await using web = new Web({
      REDIS_URL: redis.url.replace('rediss:', 'redis:'),
      DATABASE_URL: postgres.off.url,
    });
    await vi.waitFor(
      async () => expect((await web.readiness()).redis).toContain('one with TLS needs rediss://'),
      10_000,
    );
  });
});
