/** Redis and Postgres with TLS, for tests of what trusts whom. */
import { isIP } from 'node:net';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { image, type Store, store } from './containers.ts';
import { until } from './faults.ts';
import { freePort, ROOT } from './this-checkout.ts';

export const PASSWORD = 'secret';

/** A certificate for a host that is its own authority. */
export async function certificate(host: string): Promise<{ cert: string; private: string }> {
  const name = isIP(host) ? ({ type: 7, ip: host } as const) : ({ type: 2, value: host } as const);
  return generate([{ name: 'commonName', value: host }], {
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [name] },
    ],
  });
}

/** @param contents of files below /tls: the certificate is ca.pem, and its key key.pem */
const files = (contents: Record<string, string>) =>
  Object.entries(contents).map(([name, content]) => ({ content, target: `/tls/${name}`, mode: 0o644 }));

export async function startTlsRedis(contents: Record<string, string>): Promise<Store> {
  const port = await freePort();
  const tls = [
    '--tls-cert-file',
    '/tls/ca.pem',
    '--tls-key-file',
    '/tls/key.pem',
    '--tls-auth-clients',
    'no',
  ];
  const container = image('REDIS_IMAGE', port, 6379)
    .withCopyContentToContainer(files(contents))
    .withCommand(['redis-server', '--protected-mode', 'no', '--port', '0', '--tls-port', '6379', ...tls]);
  return store(await container.start(), `rediss://localhost:${port}`);
}

/** @param options of the server, as words of a shell */
export async function startTlsPostgres(contents: Record<string, string>, options: string): Promise<Store> {
  const port = await freePort();
  const container = image('POSTGRES_IMAGE', port, 5432)
    .withCopyContentToContainer(files(contents))
    .withCopyFilesToContainer([
      {
        source: join(ROOT, 'postgres/migrations/0001_counter.sql'),
        target: '/docker-entrypoint-initdb.d/init.sql',
      },
    ])
    .withEnvironment({ POSTGRES_USER: 'linode', POSTGRES_DB: 'linode', POSTGRES_PASSWORD: PASSWORD })
    .withEntrypoint(['sh', '-c'])
    // Postgres insists that nobody else can read its key.
    .withCommand([
      'install -o postgres -m 600 /tls/key.pem /tmp/key.pem && exec docker-entrypoint.sh postgres ' +
        `-c ssl_cert_file=/tls/ca.pem -c ssl_key_file=/tmp/key.pem ${options}`,
    ]);
  const started = await store(
    await container.start(),
    `postgres://linode:${PASSWORD}@localhost:${port}/linode`,
  );
  // Over TCP: while the entrypoint prepares the data, a server answers on the local socket alone.
  await until(async () => (await libpq(started, '')) !== '-', 60_000);
  return started;
}

/** What libpq makes of a host and parameters, beside the server: a session with TLS (t), one without (p), none (-). */
export async function libpq({ container }: Store, parameters: string, host = 'localhost'): Promise<string> {
  const url = `postgres://linode:${PASSWORD}@${host}/linode?${parameters}`;
  const query = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
  const { stdout, exitCode } = await container.exec(['psql', url, '--no-psqlrc', '-Atc', query]);
  return exitCode !== 0 ? '-' : stdout.trim() === 't' ? 't' : 'p';
}
