/** Real Redis and Postgres for a test, removed when the test's scope ends: `await using redis = await startRedis()`. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from 'testcontainers';
import { CHECKOUT, freePort, LABEL, ROOT } from './this-checkout.ts';

const MIGRATIONS = join(ROOT, 'postgres', 'migrations');

export interface Store extends AsyncDisposable {
  url: string;
  container: StartedTestContainer;
  /** SIGKILL, as a crash or the kernel would. */
  kill(): Promise<void>;
  start(): Promise<void>;
  pause(): Promise<void>;
  unpause(): Promise<void>;
}

/** @param options of redis-server, after the stack's own, so that a later one wins. */
export async function startRedis(...options: string[]): Promise<Store> {
  const port = await freePort();
  const container = await image('REDIS_IMAGE', port, 6379)
    .withCommand(['redis-server', '--save', '', '--appendonly', 'no', ...options])
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
    .start();
  return store(container, `redis://localhost:${port}`);
}

/** Postgres with the stack's schema. */
export async function startPostgres(): Promise<Store> {
  const port = await freePort();
  const password = randomBytes(12).toString('hex');
  const container = await image('POSTGRES_IMAGE', port, 5432)
    .withEnvironment({ POSTGRES_USER: 'linode', POSTGRES_DB: 'linode', POSTGRES_PASSWORD: password })
    .withCopyFilesToContainer(
      readdirSync(MIGRATIONS).map((file) => ({
        source: join(MIGRATIONS, file),
        target: `/docker-entrypoint-initdb.d/${file}`,
      })),
    )
    .withHealthCheck({
      // Over TCP: while the entrypoint prepares the data, a server answers on the local socket alone.
      test: ['CMD', 'pg_isready', '--host=127.0.0.1', '--username=linode'],
      interval: 200,
      retries: 300,
    })
    .withWaitStrategy(Wait.forHealthCheck())
    .start();
  return store(container, `postgres://linode:${password}@localhost:${port}/linode`);
}

/** Valkey in the place of Redis. */
export async function startValkey(): Promise<Store> {
  const port = await freePort();
  const container = await named(foreign('valkey'), port, 6379)
    .withCommand(['valkey-server', '--save', '', '--protected-mode', 'no'])
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
    .start();
  return store(container, `redis://localhost:${port}`);
}

/**
 * PgBouncer before a Postgres, with a session for each transaction, of which it has fewer than it has clients.
 * @param prepared its max_prepared_statements: 200 by default since 1.24, 0 before
 */
export async function startPgBouncer(postgres: Store, prepared: number): Promise<Store> {
  const port = await freePort();
  const url = new URL(postgres.url);
  const [network = 'bridge'] = postgres.container.getNetworkNames();
  const settings = [
    '[databases]',
    `* = host=${postgres.container.getIpAddress(network)} port=5432`,
    '[pgbouncer]',
    'listen_addr = 0.0.0.0',
    'auth_type = scram-sha-256',
    'auth_file = /tmp/users',
    'pool_mode = transaction',
    'default_pool_size = 2',
    `max_prepared_statements = ${prepared}`,
    // 15 s by default, in which it does not ask a Postgres again that was away.
    'server_login_retry = 1',
  ];
  const container = await named(foreign('pgbouncer'), port, 6432)
    .withCopyContentToContainer([
      { target: '/tmp/pgbouncer.ini', content: settings.join('\n'), mode: 0o644 },
      { target: '/tmp/users', content: `"${url.username}" "${url.password}"`, mode: 0o644 },
    ])
    .withCommand(['pgbouncer', '/tmp/pgbouncer.ini'])
    .withWaitStrategy(Wait.forLogMessage('process up'))
    .start();
  url.port = String(port);
  return store(container, url.href);
}

/** Builds an image of what the stack may meet in the world: test/support/foreign. */
export function foreign(target: 'valkey' | 'pgbouncer' | 'pebble' | 'registry' | 'testssl'): string {
  const name = `foreign-${CHECKOUT}-${target}`;
  // Where stand-ins serve for the base images, there is one of Debian too: host/base-images.
  const standIn = process.env.REDIS_IMAGE?.startsWith('stand-in/') ? 'stand-in/debian:forky' : undefined;
  const debian = process.env.DEBIAN_IMAGE || standIn;
  const options = [
    '--target',
    target,
    '--tag',
    name,
    ...(debian ? ['--build-arg', `DEBIAN_IMAGE=${debian}`] : []),
  ];
  const context = join(import.meta.dirname, 'foreign');
  // Its packages come over the host's network, whose resolver and routes are known to work.
  execFileSync('docker', ['build', '--quiet', '--network', 'host', ...options, context]);
  return name;
}

export function image(variable: string, hostPort: number, port: number): GenericContainer {
  const name = process.env[variable];
  if (!name) throw new Error(`${variable} is not set: run the tests with npm test or ./stack test`);
  return named(name, hostPort, port);
}

export function named(name: string, hostPort: number, port: number): GenericContainer {
  // A port of our own choice: one that Docker chooses is another after a restart.
  return new GenericContainer(name)
    .withExposedPorts({ container: port, host: hostPort })
    .withLabels(Object.fromEntries([LABEL.split('=')]));
}

export async function store(container: StartedTestContainer, url: string): Promise<Store> {
  const { container: docker } = await getContainerRuntimeClient();
  const handle = docker.getById(container.getId());
  return {
    url,
    container,
    kill: () => handle.kill({ signal: 'SIGKILL' }),
    start: () => handle.start(),
    pause: () => handle.pause(),
    unpause: () => handle.unpause(),
    // By force: it may be paused or dead.
    [Symbol.asyncDispose]: () => handle.remove({ force: true, v: true }),
  };
}
