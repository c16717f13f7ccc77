import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort, image, type Store, store } from './containers.ts';
import { Web } from './web.ts';

describe('TLS', () => {
  let directory: string;
  let redis: Store;
  let postgres: Store;

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
    await writeFile(join(directory, 'ca.pem'), cert);
    await writeFile(join(directory, 'other.pem'), (await certificate()).cert);
    const files = [
      { content: cert, target: '/tls/cert.pem', mode: 0o644 },
      { content: key, target: '/tls/key.pem', mode: 0o644 },
    ];
    const [redisPort, postgresPort] = [await freePort(), await freePort()];
    const redisContainer = image('REDIS_IMAGE', redisPort, 6379)
      .withCopyContentToContainer(files)
      .withCommand(
        ['redis-server', '--port', '0', '--tls-port', '6379', '--tls-auth-clients', 'no'].concat([
          '--tls-cert-file',
          '/tls/cert.pem',
          '--tls-key-file',
          '/tls/key.pem',
          '--tls-ca-cert-file',
          '/tls/cert.pem',
        ]),
      )
      .start();
    // Postgres insists that nobody else can read its key.
    const postgresContainer = image('POSTGRES_IMAGE', postgresPort, 5432)
      .withCopyContentToContainer(files)
      .withCopyFilesToContainer([
        {
          source: join(import.meta.dirname, '../../postgres/init.sql'),
          target: '/docker-entrypoint-initdb.d/init.sql',
        },
      ])
      .withEnvironment({ POSTGRES_USER: 'linode', POSTGRES_DB: 'linode', POSTGRES_PASSWORD: 'secret' })
      .withEntrypoint(['sh', '-c'])
      .withCommand([
        'install -o postgres -m 600 /tls/key.pem /tmp/key.pem && exec docker-entrypoint.sh postgres -c ssl=on ' +
          '-c ssl_cert_file=/tls/cert.pem -c ssl_key_file=/tmp/key.pem',
      ])
      .start();
    redis = await store(await redisContainer, `rediss://localhost:${redisPort}`);
    postgres = await store(
      await postgresContainer,
      `postgres://linode:secret@localhost:${postgresPort}/linode`,
    );
  });
  afterAll(async () => {
    await Promise.all([redis[Symbol.asyncDispose](), postgres[Symbol.asyncDispose]()]);
    await rm(directory, { recursive: true });
  });

  /** A process that trusts this authority alone. */
  function start(authority: string): Web {
    const file = join(directory, authority);
    return new Web({
      NODE_EXTRA_CA_CERTS: file,
      REDIS_URL: redis.url,
      DATABASE_URL: `${postgres.url}?sslmode=verify-full&sslrootcert=${file}`,
    });
  }

  it('reaches both stores by rediss:// and sslmode=verify-full', async () => {
    await using web = start('ca.pem');
    await vi.waitFor(
      async () => expect(await web.readiness()).toMatchObject({ status: 'ok', redis: 'up', postgres: 'up' }),
      { timeout: 20_000, interval: 100 },
    );
    expect(await (await fetch(await web.address())).text()).toContain('1 time(s)');
  });

  it('trusts no server whose authority it does not know', async () => {
    await using web = start('other.pem');
    const { status, postgres } = await web.readiness();
    expect(status).toBe('unavailable');
    expect(postgres).toMatch(/self-signed certificate/);
    expect((await web.readiness()).redis).not.toBe('up');
  });
});
