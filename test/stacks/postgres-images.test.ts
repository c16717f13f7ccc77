/** What outlives Postgres's container meets another: a volume of another user or major version, a dump, a lost password. */
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { until } from '../support/faults.ts';
import { attempt, docker, Stack } from '../support/stack.ts';
import { CHECKOUT } from '../support/this-checkout.ts';

const BASE = process.env.POSTGRES_IMAGE ?? '';
const stack = new Stack(`postgres-images-${CHECKOUT}`, '0');
const variant = (name: string) => `${stack.project}-base-${name}`;
const VARIANTS = ['other-user', 'older', 'newer'].map(variant);

/** The base image in use, changed. */
async function build(name: string, ...lines: string[]): Promise<void> {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'postgres-image-'));
  await writeFile(join(directory.path, 'Dockerfile'), [`FROM ${BASE}`, 'USER root', ...lines].join('\n'));
  await docker('build', '--network', 'none', '--tag', variant(name), directory.path);
}

/** What is the same to the stack in an image of another major version: what it says, and where it keeps its data. */
const pretend = (version: string, data: string) => [
  `RUN mkdir -p /other ${data} && chown postgres /other ${data} && real=$(command -v postgres) && ` +
    `printf '#!/bin/sh\\n[ "$1" != --version ] || exec echo "postgres (PostgreSQL) ${version}"\\nexec %s "$@"\\n' $real > /other/postgres && ` +
    'chmod +x /other/postgres',
  `ENV PATH=/other:$PATH PGDATA=${data}`,
];

beforeAll(async () => {
  const { stdout } = await docker(
    'run',
    '--rm',
    '--network',
    'none',
    '--entrypoint',
    'id',
    BASE,
    '-u',
    'postgres',
  );
  // On Alpine it is 70, on Debian 999.
  const other = stdout.trim() === '70' ? 999 : 70;
  await build(
    'other-user',
    `RUN sed -i 's/^postgres:x:[0-9]*:[0-9]*:/postgres:x:${other}:${other}:/' /etc/passwd && ` +
      `sed -i 's/^postgres:x:[0-9]*:/postgres:x:${other}:/' /etc/group && chown -R postgres: /var/lib/postgresql /var/run/postgresql`,
  );
  await build('older', ...pretend('17.6', '/var/lib/postgresql/data'), 'VOLUME /var/lib/postgresql/data');
  await build('newer', ...pretend('19beta1', '/var/lib/postgresql/19/docker'));
});
afterAll(async () => {
  await attempt('docker', 'rmi', ...VARIANTS);
});
afterEach(async () => {
  await stack.compose('down', '--volumes', '--rmi', 'local');
  vi.unstubAllEnvs();
});

/** Brings up Postgres alone, made from this base image. */
async function up(image: string): Promise<void> {
  vi.stubEnv('POSTGRES_IMAGE', image);
  await stack.compose('up', '--build', '--detach', 'postgres');
}

/** Over TCP: while the entrypoint prepares an empty volume, a server answers on the local socket alone. */
const ready = () =>
  until(async () => {
    await stack.compose('exec', '-T', 'postgres', 'pg_isready', '--quiet', '--host=127.0.0.1');
    return true;
  });
const kept = () => stack.sql('SELECT seven FROM kept');

/** A volume with something in it, as this base image leaves it. */
async function filled(image: string): Promise<void> {
  await up(image);
  await ready();
  await stack.sql('CREATE TABLE kept AS SELECT 7 AS seven; GRANT SELECT ON kept TO PUBLIC');
  await stack.compose('down');
}

/** The one line that says why Postgres does not start. */
async function refusal(): Promise<string> {
  const lines = async () =>
    (await stack.compose('logs', '--no-log-prefix', '--no-color', 'postgres')).trim().split('\n');
  await until(async () => (await lines()).some((line) => line.startsWith('postgres does not start')));
  const said = new Set(await lines());
  expect(said.size).toBe(1);
  return [...said].join();
}

describe('a volume that an image with another user wrote', () => {
  it.each([
    ['the other image', BASE, variant('other-user')],
    ['this image', variant('other-user'), BASE],
  ])(
    '%s does not start on it, says why, and the command that it names hands the volume over',
    async (_which, first, second) => {
      await filled(first);
      await up(second);
      const line = await refusal();
      expect(line).toMatch(
        /user (70|999) of this image cannot write the volume, .* belongs to user (999|70)/,
      );
      const [, command = ''] = /: (docker compose run .*)$/.exec(line) ?? [];
      vi.stubEnv('COMPOSE_PROJECT_NAME', stack.project);
      expect(await attempt('sh', '-c', command)).toMatchObject({ code: 0 });
      // The restart policy tries again.
      await ready();
      expect(await kept()).toBe('7');
    },
  );
});

describe('an image of another major version', () => {
  it.each([
    ['older', '17'],
    ['newer', '19'],
  ])(
    'an image that is %s does not start on the volume, names both versions, and nothing is lost',
    async (name, version) => {
      await filled(BASE);
      await up(variant(name));
      expect(await refusal()).toMatch(
        new RegExp(
          `the volume holds the data of Postgres 18, and POSTGRES_IMAGE is Postgres ${version}\\..*upgrade`,
        ),
      );
      await up(BASE);
      await ready();
      expect(await kept()).toBe('7');
    },
  );

  it('an image that is older does not begin outside of the volume, where the next `down` would forget the count', async () => {
    await up(variant('older'));
    expect(await refusal()).toMatch(/Postgres 17, .* in \/var\/lib\/postgresql\/data, outside of the volume/);
  });
});

describe('a name that was changed in docker-compose.yml', () => {
  it.each([
    ['database', 'POSTGRES_DB'],
    ['owner', 'POSTGRES_USER'],
    ['role', 'APPLICATION_ROLE'],
  ])(
    'as that of the %s stops Postgres on a volume that has the old one, and the command that it names renames it',
    async (which, variable) => {
      await filled(BASE);
      const names = JSON.parse(await stack.compose('config', '--format', 'json'))['x-names'];
      await using directory = await mkdtempDisposable(join(tmpdir(), 'names-'));
      const overlay = join(directory.path, 'names.yml');
      // A name that SQL takes in quotes alone.
      await writeFile(overlay, `services: { postgres: { environment: { ${variable}: other-1 } } }`);
      const renamed = new Stack(stack.project, '0', [overlay]);
      await renamed.compose('up', '--detach', 'postgres');
      const line = await refusal();
      expect(line).toContain(
        `the volume holds the ${which} ${names[which]}, and docker-compose.yml names other-1`,
      );
      const [, command = ''] = /or rename it: (docker compose .*)$/.exec(line) ?? [];
      vi.stubEnv('COMPOSE_PROJECT_NAME', stack.project);
      vi.stubEnv('COMPOSE_FILE', `docker-compose.yml:${overlay}`);
      expect(await attempt('sh', '-c', command)).toMatchObject({ code: 0 });
      await ready();
      const owner = which === 'owner' ? 'other-1' : names.owner;
      const database = which === 'database' ? 'other-1' : names.database;
      const query = 'SELECT seven, current_user, current_database() FROM kept';
      const psql = ['psql', '--username', owner, '--dbname', database, '-Atc', query];
      expect((await renamed.compose('exec', '-T', 'postgres', ...psql)).trim()).toBe(
        `7|${owner}|${database}`,
      );
      const roles = "SELECT string_agg(rolname, ',' ORDER BY oid) FROM pg_roles WHERE rolcanlogin";
      const ask = ['psql', '--username', owner, '--dbname', database, '-Atc', roles];
      expect((await renamed.compose('exec', '-T', 'postgres', ...ask)).trim()).toBe(
        `${owner},${which === 'role' ? 'other-1' : names.role},stack_backup`,
      );
    },
  );

  it.each([
    ['the same as the owner', { POSTGRES_USER: 'same', APPLICATION_ROLE: 'same' }, 'are both same'],
    ['one with a space', { POSTGRES_DB: 'two words' }, 'has a character other than'],
  ])('is refused before a volume is made with it: %s', async (_which, environment, cause) => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'names-'));
    const overlay = join(directory.path, 'names.yml');
    await writeFile(overlay, JSON.stringify({ services: { postgres: { environment } } }));
    await new Stack(stack.project, '0', [overlay]).compose('up', '--build', '--detach', 'postgres');
    expect(await refusal()).toContain(cause);
    await up(BASE);
    await ready();
  });
});

it('a first start that was cut off before there was a database says so', async () => {
  await filled(BASE);
  // What initdb leaves, before the image's entrypoint goes on.
  const names = JSON.parse(await stack.compose('config', '--format', 'json'))['x-names'];
  const statements = [`DROP DATABASE "${names.database}"`, `DROP ROLE "${names.role}"`].join('\n');
  await stack.compose('create', 'postgres');
  const single = `echo '${statements}' | docker compose run --rm --no-deps --no-TTY --entrypoint postgres postgres --single template1`;
  vi.stubEnv('COMPOSE_PROJECT_NAME', stack.project);
  expect(await attempt('sh', '-c', single)).toMatchObject({ code: 0 });
  await up(BASE);
  expect(await refusal()).toContain('the first start on this volume was cut off');
});

it('the log keeps what Postgres says of a recovery after a crash', async () => {
  await filled(BASE);
  await up(BASE);
  await ready();
  await stack.compose('kill', '--signal', 'KILL', 'postgres');
  await up(BASE);
  await ready();
  const log = await stack.compose('logs', '--no-log-prefix', '--no-color', 'postgres');
  expect(log).toContain('automatic recovery in progress');
});

it('a volume sorts text in the same order whichever C library an image has', async () => {
  await up(BASE);
  await ready();
  const provider = await stack.sql(
    'SELECT datlocprovider, datlocale FROM pg_database WHERE datname = current_database()',
  );
  expect(provider).toBe('b|C.UTF-8');
});

it.each(['web-password', 'postgres-password'])(
  'a new %s is made for one that was lost, and Postgres takes it',
  async (volume) => {
    await filled(BASE);
    await docker('volume', 'rm', `${stack.project}_${volume}`);
    await up(BASE);
    await ready();
    expect(await kept()).toBe('7');
    expect(await stack.sqlAsApplication('SELECT seven FROM kept')).toBe('7');
  },
);
