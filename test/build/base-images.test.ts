/**
 * What the stack relies on in its base images (host/base-images/README.md), held against whichever are in use: a change of
 * a tag, or of a stand-in, must not be noticed first in production.
 */
import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../support/faults.ts';
import { attempt, docker, inspect } from '../support/stack.ts';
import { LABEL } from '../support/this-checkout.ts';

const image = (name: string) => {
  const value = process.env[`${name}_IMAGE`];
  if (!value) throw new Error(`${name}_IMAGE is not set: run the tests with npm test or ./stack test`);
  return value;
};
/** As hardened as the stack's own. */
const HARDENED = [
  '--read-only',
  '--cap-drop',
  'ALL',
  '--security-opt',
  'no-new-privileges',
  '--network',
  'none',
];

const started: string[] = [];
afterEach(async () => {
  if (started.length > 0) await docker('rm', '--force', '--volumes', ...started.splice(0));
});

/** Starts a container of a base image: its id. */
async function start(...args: string[]): Promise<string> {
  const { stdout } = await docker('run', '--detach', '--label', LABEL, ...args);
  started.push(stdout.trim());
  return stdout.trim();
}

/** What a shell in a base image says to a command. */
const sh = (name: string, command: string) =>
  attempt('docker', 'run', '--rm', '--network', 'none', '--entrypoint', 'sh', image(name), '-c', command);

/** The numbers of a version, as text that sorts: "1.30.6" is 001.030. */
const version = (text: string) =>
  /(\d+)\.(\d+)/
    .exec(text)
    ?.slice(1)
    .map((part) => part.padStart(3, '0'))
    .join('.') ?? '';

const TOOLS: Record<string, string[]> = {
  // web/Dockerfile builds with these; nothing of them but Node itself is in web's image.
  NODE: ['sh', 'node', 'npm', 'ldd', 'grep', 'cp', 'mkdir', 'dirname'],
  // curl: its health check.
  NGINX: ['nginx', 'curl'],
  REDIS: ['redis-server', 'redis-cli'],
  // The second row: postgres/entrypoint.sh. The third: postgres/migrate.sh. The last: docker-compose.yml, passwords.
  POSTGRES: [
    ...['sh', 'postgres', 'psql', 'pg_isready', 'docker-entrypoint.sh', 'cat', 'rmdir', 'ln'],
    ...['id', 'stat', 'sed', 'chown', 'pg_dump'],
    ...['basename', 'sha256sum', 'grep'],
    ...['head', 'base64', 'tr', 'chmod', 'mv'],
  ],
};

describe.each(Object.entries(TOOLS))('the base image of %s', (name, tools) => {
  it.each(tools)('has %s', async (tool) => {
    expect((await sh(name, `command -v ${tool}`)).output).toMatch(/^\/\S+/);
  });
});

it('node is where the start command of web looks for it', async () => {
  expect((await sh('NODE', 'command -v node')).output).toBe('/usr/local/bin/node\n');
});

describe.each([
  ['NODE', 'node --version', '026.000'],
  // add_header_inherit, max_headers: nginx.conf
  ['NGINX', 'nginx -v', '001.030'],
  ['REDIS', 'redis-server --version | grep -o "v=.*"', '008.000'],
  ['POSTGRES', 'postgres --version', '018.000'],
])('the base image of %s', (name, command, least) => {
  it(`is of version ${least} or newer`, async () => {
    expect(version((await sh(name, command)).output) >= least).toBe(true);
  });
});

describe.each([
  ['NGINX', 'nginx'],
  ['REDIS', 'redis'],
  ['POSTGRES', 'postgres'],
])('the base image of %s', (name, user) => {
  it(`knows the user ${user}, who is not root`, async () => {
    expect(Number((await sh(name, `id -u ${user}`)).output)).toBeGreaterThan(0);
  });
});

it.each([
  ['NGINX', 'SIGQUIT'],
  ['REDIS', ''],
  ['POSTGRES', 'SIGINT'],
])('the base image of %s names %j as the signal to stop it', async (name, signal) => {
  expect(await inspect(image(name), '{{.Config.StopSignal}}')).toBe(signal);
});

it('nginx reads /etc/nginx/nginx.conf, and can say how many requests are under way', async () => {
  const { output } = await sh('NGINX', 'nginx -V');
  expect(output).toContain('--conf-path=/etc/nginx/nginx.conf');
  expect(output).toContain('--with-http_stub_status_module');
});

describe('redis', () => {
  const command = ['--protected-mode', 'no', '--save', '', '--appendonly', 'no'];
  const server = ['--entrypoint', 'redis-server', '--user', 'redis'];

  it('declares the volume /data, which the stack covers', async () => {
    expect(Object.keys(JSON.parse(await inspect(image('REDIS'), '{{json .Config.Volumes}}')))).toEqual([
      '/data',
    ]);
  });

  it('starts as its user with a root and a /data that it cannot write, and answers', async () => {
    const id = await start(...HARDENED, ...server, '--tmpfs', '/data:mode=0555', image('REDIS'), ...command);
    await until(async () => (await docker('exec', id, 'redis-cli', '-e', 'ping')).stdout === 'PONG\n');
    expect((await docker('exec', id, 'redis-cli', 'INFO', 'replication')).stdout).toMatch(
      /master_replid:[0-9a-f]{40}/,
    );
  });

  it('answers other containers without a password', async () => {
    const id = await start(...server, image('REDIS'), ...command);
    const address = await inspect(id, '{{.NetworkSettings.IPAddress}}');
    const ping = ['run', '--rm', '--entrypoint', 'redis-cli', image('REDIS'), '-e', '-h', address, 'ping'];
    await until(async () => (await docker(...ping)).stdout === 'PONG\n');
  });
});

describe('postgres', () => {
  it('keeps its data below the volume that the stack mounts', async () => {
    expect(Object.keys(JSON.parse(await inspect(image('POSTGRES'), '{{json .Config.Volumes}}')))).toEqual([
      '/var/lib/postgresql',
    ]);
    const env: string[] = JSON.parse(await inspect(image('POSTGRES'), '{{json .Config.Env}}'));
    expect(env).toContain('PGDATA=/var/lib/postgresql/18/docker');
  });

  it('has an empty directory for its socket, which the stack replaces', async () => {
    expect(await sh('POSTGRES', 'ls -A /var/run/postgresql')).toEqual({ code: 0, output: '' });
  });

  it('prepares an empty volume as its own user: password from a file, scripts in order, with what psql knows', async () => {
    const password = randomBytes(12).toString('hex');
    // What the stack's image adds: the link for the socket, and scripts.
    const prepare = [
      'rmdir /var/run/postgresql && ln -s /tmp /var/run/postgresql',
      `echo ${password} > /secret`,
      'echo "CREATE TABLE first (a integer);" > /docker-entrypoint-initdb.d/a.sql',
      `printf '%s\\n' '\\set content \`cat /secret\`' "INSERT INTO first VALUES (length(:'content'));" > /docker-entrypoint-initdb.d/b.sql`,
    ].join(' && ');
    const made = await start('--user', 'root', '--entrypoint', 'sh', image('POSTGRES'), '-c', prepare);
    await until(async () => (await inspect(made, '{{.State.Running}}')) === 'false');
    const copy = `base-image-test-${LABEL.split('=')[1]}`;
    await docker(
      'commit',
      '--change',
      'ENTRYPOINT ["docker-entrypoint.sh"]',
      '--change',
      'USER postgres',
      made,
      copy,
    );
    try {
      const id = await start(
        ...[...HARDENED, '--tmpfs', '/tmp', '--env', 'POSTGRES_USER=linode', '--env', 'POSTGRES_DB=linode'],
        ...['--env', 'POSTGRES_PASSWORD_FILE=/secret'],
        ...[
          '--env',
          'POSTGRES_INITDB_ARGS=--auth-local=scram-sha-256 --auth-host=scram-sha-256',
          copy,
          'postgres',
        ],
      );
      const ask = (words: string, query: string) =>
        attempt(
          'docker',
          'exec',
          id,
          'sh',
          '-c',
          `PGPASSWORD=${words} psql -h 127.0.0.1 -U linode -d linode -Atc "${query}"`,
        );
      await until(async () => (await ask(password, 'SELECT 1')).code === 0);
      expect((await ask(password, 'SELECT a FROM first')).output).toBe(`${password.length}\n`);
      expect((await ask('wrong', 'SELECT 1')).output).toContain('password authentication failed');
      expect((await ask(password, 'SHOW listen_addresses')).output).toBe('*\n');
      expect((await ask(password, 'SHOW data_directory')).output).toBe('/var/lib/postgresql/18/docker\n');
    } finally {
      await docker('rm', '--force', '--volumes', ...started.splice(0));
      await docker('rmi', copy);
    }
  });
});
