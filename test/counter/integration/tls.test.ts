import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readConfig, Settings } from '../../../web/src/config.ts';
import { PostgresCounter } from '../../../web/src/counter/postgres-store.ts';
import { image, type Store, store } from '../../support/containers.ts';
import { freePort } from '../../support/this-checkout.ts';
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

  /** A certificate for localhost that is its own authority. */
  const certificate = () =>
    generate([{ name: 'commonName', value: 'localhost' }], {
      extensions: [
        { name: 'basicConstraints', cA: true },
        { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
      ],
    });

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tls-'));
    const { cert, private: key } = await certificate();
    const contents = {
      'ca.pem': cert,
      'key.pem': key,
      'other.pem': (await certificate()).cert,
      hba: 'local all all trust\nhostssl all all all scram-sha-256',
    };
    for (const [name, content] of Object.entries(contents)) await writeFile(join(directory, name), content);
    const files = Object.entries(contents).map(([name, content]) => ({
      content,
      target: `/tls/${name}`,
      mode: 0o644,
    }));

    async function startRedis(): Promise<Store> {
      const port = await freePort();
      const tls = ['--tls-cert-file', '/tls/ca.pem', '--tls-key-file', '/tls/key.pem'];
      const container = image('REDIS_IMAGE', port, 6379)
        .withCopyContentToContainer(files)
        .withCommand([
          'redis-server',
          '--port',
          '0',
          '--tls-port',
          '6379',
          ...tls,
          '--tls-auth-clients',
          'no',
        ]);
      return store(await container.start(), `rediss://localhost:${port}`);
    }

    async function startPostgres(options: string): Promise<Store> {
      const port = await freePort();
      const container = image('POSTGRES_IMAGE', port, 5432)
        .withCopyContentToContainer(files)
        .withCopyFilesToContainer([
          {
            source: join(import.meta.dirname, '../../../postgres/migrations/0001_counter.sql'),
            target: '/docker-entrypoint-initdb.d/init.sql',
          },
        ])
        .withEnvironment({ POSTGRES_USER: 'linode', POSTGRES_DB: 'linode', POSTGRES_PASSWORD: 'secret' })
        .withEntrypoint(['sh', '-c'])
        // Postgres insists that nobody else can read its key.
        .withCommand([
          'install -o postgres -m 600 /tls/key.pem /tmp/key.pem && exec docker-entrypoint.sh postgres ' +
            `-c ssl_cert_file=/tls/ca.pem -c ssl_key_file=/tmp/key.pem ${options}`,
        ]);
      const started = await store(
        await container.start(),
        `postgres://linode:secret@localhost:${port}/linode`,
      );
      // Over TCP: while the entrypoint prepares the data, a server answers on the local socket alone.
      await vi.waitFor(async () => expect(await libpq(started, '')).not.toBe('-'), 60_000);
      return started;
    }

    const [off, on, only] = await Promise.all(Object.values(SERVERS).map(startPostgres));
    if (!off || !on || !only) throw new Error('a Postgres has not started');
    postgres = { off, on, only };
    redis = await startRedis();
  });
  afterAll(async () => {
    await Promise.all([redis, ...Object.values(postgres)].map((one) => one[Symbol.asyncDispose]()));
    await rm(directory, { recursive: true });
  });

  /** What libpq makes of a host and parameters, beside the server. */
  async function libpq({ container }: Store, parameters: string, host = 'localhost'): Promise<string> {
    const url = `postgres://linode:secret@${host}/linode?${parameters}`;
    const query = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
    const { stdout, exitCode } = await container.exec(['psql', url, '--no-psqlrc', '-Atc', query]);
    return exitCode !== 0 ? '-' : stdout.trim() === 't' ? 't' : 'p';
  }

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
            PGPASSWORD: 'secret',
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
