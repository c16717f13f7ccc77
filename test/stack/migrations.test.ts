/** Migrations on a stack that serves: what they leave, and what a failing one does not touch. */
import { execFile } from 'node:child_process';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { subject } from '../subject.ts';
import { Checkout, ended } from '../support/checkout.ts';
import { CHECKOUT, freePort } from '../support/containers.ts';
import { until } from '../support/faults.ts';
import { attempt, Stack } from '../support/stack.ts';

const run = promisify(execFile);

/** Runs migrate beside a stack that is up, with these migrations after its own. */
async function migrate(stack: Stack, files: Record<string, string>, ...env: string[]) {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'migrations-'));
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(directory.path, name), content, { mode: 0o444 });
  }
  await run('chmod', ['755', directory.path]);
  const compose = ['compose', '--project-name', stack.project, 'run', '--rm', '--no-deps', '--no-TTY'];
  const volume = ['--volume', `${directory.path}:/extra:ro`, '--env', 'MIGRATIONS=/extra'];
  return await attempt(
    'docker',
    ...compose,
    ...volume,
    ...env.flatMap((setting) => ['--env', setting]),
    'migrate',
  );
}

/** The application's own migrations, which come first. */
async function own(): Promise<Record<string, string>> {
  const { stdout } = await run('git', ['ls-files', 'postgres/migrations']);
  const files = stdout.trim().split('\n');
  return Object.fromEntries(
    await Promise.all(
      files.map(async (file) => [file.split('/').at(-1) ?? '', await readFile(file, 'utf8')] as const),
    ),
  );
}

describe('a database', () => {
  const stack = new Stack(`migrations-${CHECKOUT}`, '0');
  let first: Record<string, string>;
  let next: string;
  const named = (n: number, name: string) =>
    `${String(Object.keys(first).length + n).padStart(4, '0')}_${name}.sql`;
  const asApplication = async (query: string) =>
    (
      await attempt(
        ...([
          'docker',
          'compose',
          '--project-name',
          stack.project,
          'exec',
          '-T',
          'postgres',
          'sh',
          '-c',
        ] as const),
        `psql --host=127.0.0.1 --username="$APPLICATION_ROLE" -Atc "${query}"`,
      )
    ).output.trim();

  beforeAll(async () => {
    first = await own();
    next = named(1, 'things');
    await stack.compose('build', 'postgres', 'migrate');
  });
  beforeEach(async () => {
    await stack.compose('down', '--volumes');
    await stack.compose('up', '--detach', '--wait', '--no-deps', 'passwords').catch(() => {});
    await stack.compose('up', '--detach', 'postgres');
    await stack.compose('up', '--detach', '--wait', '--no-deps', '--no-recreate', 'postgres');
    expect(await migrate(stack, first)).toEqual({ code: 0, output: expect.any(String) });
  });
  afterAll(() => stack.compose('down', '--volumes', '--rmi', 'local'));

  const THINGS = `
    CREATE TABLE things (id bigint GENERATED ALWAYS AS IDENTITY, name text);
    CREATE SEQUENCE numbers;
    INSERT INTO things (name) VALUES ('first');`;

  it('gets a table and a sequence once, and the application may use their rows and nothing else', async () => {
    for (const word of ['migrate: ', '']) {
      const { code, output } = await migrate(stack, { ...first, [next]: THINGS });
      expect([code, output.includes(next.replace('.sql', ''))]).toEqual([0, word !== '']);
    }
    expect(await stack.sql('SELECT count(*) FROM things')).toBe('1');
    for (const statement of [
      "INSERT INTO things (name) VALUES ('mine')",
      "UPDATE things SET name = 'other'",
      'DELETE FROM things',
      "SELECT nextval('numbers')",
    ]) {
      expect(await asApplication(statement)).not.toContain('ERROR');
    }
    for (const statement of ['TRUNCATE things', 'DROP TABLE things', 'SELECT * FROM schema_migrations']) {
      expect(await asApplication(statement)).toMatch(/permission denied|must be owner/);
    }
  });

  it('that is new ends as one that was migrated step by step', async () => {
    const files = {
      [next]: THINGS,
      [named(2, 'more')]: 'ALTER TABLE things ADD size integer NOT NULL DEFAULT 0;',
    };
    const dump = async () => {
      const text = await stack.compose('exec', '-T', 'postgres', 'pg_dump', '--schema-only');
      // Its own key, which is new each time.
      return text.replaceAll(/^\\(un)?restrict .*$/gm, '');
    };
    await migrate(stack, { ...first, [next]: THINGS });
    await migrate(stack, { ...first, ...files });
    const stepByStep = await dump();
    await stack.compose('down', '--volumes');
    await stack.compose('up', '--detach', 'postgres');
    await stack.compose('up', '--detach', '--wait', '--no-deps', '--no-recreate', 'postgres');
    await migrate(stack, { ...first, ...files });
    expect(await dump()).toBe(stepByStep);
    expect(stepByStep).toContain('size integer');
  });

  it('keeps nothing of a migration that fails, and the message names its file and the error', async () => {
    const { code, output } = await migrate(stack, { ...first, [next]: `${THINGS}\nSELECT 1 / 0;` });
    expect(code).toBe(1);
    expect(output).toMatch(new RegExp(`/extra/${next}:\\d+: ERROR: {2}division by zero`));
    expect(await stack.sql("SELECT to_regclass('things') IS NULL")).toBe('t');
    expect(await migrate(stack, { ...first, [next]: THINGS })).toMatchObject({ code: 0 });
  });

  it('takes a statement that no transaction takes, from a file that says so', async () => {
    const index = 'CREATE INDEX CONCURRENTLY things_name ON things (name);';
    const files = { ...first, [next]: THINGS };
    expect((await migrate(stack, { ...files, [named(2, 'index')]: index })).output).toContain(
      'cannot run inside a transaction',
    );
    expect(
      await migrate(stack, { ...files, [named(2, 'index')]: `-- no transaction\n${index}` }),
    ).toMatchObject({ code: 0 });
    expect(
      await stack.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_name'::regclass"),
    ).toBe('t');
  });

  it.each<[string, (files: Record<string, string>) => Record<string, string>, RegExp]>([
    [
      'was applied and then changed',
      () => ({ [next]: `${THINGS} ` }),
      /_things was applied, and its file has changed since: restore it/,
    ],
    [
      'leaves a gap',
      () => ({ [next]: THINGS, [named(3, 'late')]: 'SELECT 1;' }),
      /comes \d+_late\.sql: number it \d+, or restore/,
    ],
    [
      'has the number of another',
      () => ({ [next]: THINGS, [named(1, 'twice')]: 'SELECT 1;' }),
      /comes \d+_twice\.sql: number it/,
    ],
    [
      'has no number',
      () => ({ [next]: THINGS, 'more.sql': 'SELECT 1;' }),
      /more\.sql is no name of a migration: give it one like/,
    ],
  ])('refuses a file that %s, with the remedy', async (_what, files, message) => {
    expect(await migrate(stack, { ...first, [next]: THINGS })).toMatchObject({ code: 0 });
    const { code, output } = await migrate(stack, { ...first, ...files({}) });
    expect([code, output]).toEqual([1, expect.stringMatching(message)]);
  });

  it('is migrated once by two that come at the same time', async () => {
    const slow = `SELECT pg_sleep(1); ${THINGS}`;
    const both = await Promise.all([1, 2].map(() => migrate(stack, { ...first, [next]: slow })));
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(await stack.sql('SELECT count(*) FROM things')).toBe('1');
  });

  it('that somebody holds a lock in is waited for, and then left alone', async () => {
    await migrate(stack, { ...first, [next]: THINGS });
    const holder = stack.sql('BEGIN; LOCK TABLE things; SELECT pg_sleep(8)').catch(() => {});
    await until(
      async () =>
        (await stack.sql("SELECT count(*) FROM pg_locks WHERE relation = 'things'::regclass")) !== '0',
    );
    const files = { ...first, [next]: THINGS, [named(2, 'more')]: 'ALTER TABLE things ADD size integer;' };
    const { code, output } = await migrate(stack, files, 'MIGRATE_LOCK_TIMEOUT=1s');
    expect([code, output]).toEqual([1, expect.stringContaining('canceling statement due to lock timeout')]);
    await holder;
    expect(await migrate(stack, files)).toMatchObject({ code: 0 });
  });

  it.each([
    ['another password', "ALTER ROLE web PASSWORD 'other'"],
    ['a role that may not log in', 'ALTER ROLE web NOLOGIN'],
    ['no room for a session', 'ALTER ROLE web CONNECTION LIMIT 0'],
  ])('with %s is not healthy', async (_what, statement) => {
    const health = async () => {
      const test = (await stack.compose('config', '--format', 'json')) || '{}';
      const [, ...command]: string[] = JSON.parse(test).services.postgres.healthcheck.test;
      return attempt(
        'docker',
        'compose',
        '--project-name',
        stack.project,
        'exec',
        '-T',
        'postgres',
        ...command,
      );
    };
    expect(await health()).toMatchObject({ code: 0 });
    await stack.sql(
      statement.replace(
        'web',
        await stack.sql('SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper'),
      ),
    );
    expect((await health()).code).not.toBe(0);
  });
});

describe('a site that serves', () => {
  let checkout: Checkout;
  let address: string;
  let env: NodeJS.ProcessEnv;
  const stack = (...args: string[]) => ended('./stack', args, checkout.path, env);
  const web = async () =>
    (await run('docker', ['compose', 'ps', '--quiet', 'web'], { cwd: checkout.path, env })).stdout
      .trim()
      .split('\n')
      .toSorted();

  beforeAll(async () => {
    checkout = await Checkout.copy();
    const port = await freePort();
    address = `http://localhost:${port}`;
    env = {
      ...process.env,
      COMPOSE_PROJECT_NAME: `migrated-${CHECKOUT}`,
      HTTP_PORT: String(port),
      WEB_REPLICAS: '2',
    };
    const { code, stderr } = await stack('up');
    expect([code, stderr]).toEqual([0, expect.stringContaining('The stack is up')]);
  });
  afterAll(async () => {
    await run('docker', ['compose', 'down', '--volumes', '--rmi', 'local'], { cwd: checkout.path, env });
    await checkout[Symbol.asyncDispose]();
  });

  it('goes on as it is when a migration fails, and ./stack up says which and why', async () => {
    await subject.write(address);
    const before = await web();
    expect(before).toHaveLength(2);
    const number = String(Object.keys(await own()).length + 1).padStart(4, '0');
    const file = join(checkout.path, `postgres/migrations/${number}_broken.sql`);
    await writeFile(file, 'CREATE TABLE half (a integer);\nSELECT nonsense;');
    // A change that would replace web.
    const dockerfile = join(checkout.path, 'web/Dockerfile');
    const kept = await readFile(dockerfile, 'utf8');
    await writeFile(dockerfile, `${kept}\nLABEL changed=yes\n`);
    const { code, stderr } = await stack('up');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`${number}_broken\\.sql:2: ERROR: {2}column "nonsense" does not exist`),
    );
    expect(stderr).toContain('a migration failed, see above: web was not replaced');
    expect(await web()).toEqual(before);
    await subject.write(address);

    await writeFile(file, 'CREATE TABLE whole (a integer);');
    expect(await stack('up')).toMatchObject({ code: 0 });
    expect(await web()).not.toEqual(before);
    await subject.write(address);
  });
});
