/** Migrations on a stack that serves: what they leave, and what a failing one does not touch. */
import { execFile } from 'node:child_process';
import { mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { subject } from '../subject.ts';
import { Checkout, ended } from '../support/checkout.ts';
import { until } from '../support/faults.ts';
import { attempt, inspect, Stack } from '../support/stack.ts';
import { CHECKOUT, freePort } from '../support/this-checkout.ts';

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
  let database: string;
  /** Runs statements beside the database, with its name for DATABASE. */
  async function aside(...statements: string[]): Promise<void> {
    const commands = statements.flatMap((one) => ['--command', one.replace('DATABASE"', `${database}"`)]);
    const psql = ['psql', '--quiet', '--set', 'ON_ERROR_STOP=1', '--dbname', 'template1'];
    await stack.compose('exec', '-T', 'postgres', ...psql, ...commands);
  }
  /** The database as the application's own migrations leave a new one. */
  const again = () =>
    aside('DROP DATABASE "DATABASE" WITH (FORCE)', 'CREATE DATABASE "DATABASE" TEMPLATE fresh');
  const named = (n: number, name: string) =>
    `${String(Object.keys(first).length + n).padStart(4, '0')}_${name}.sql`;
  beforeAll(async () => {
    first = await own();
    next = named(1, 'things');
    await stack.compose('build', 'postgres', 'migrate');
    await stack.compose('down', '--volumes');
    await stack.startPostgres();
    expect(await migrate(stack, first)).toEqual({ code: 0, output: expect.any(String) });
    database = await stack.sql('SELECT current_database()');
    await aside('CREATE DATABASE fresh TEMPLATE "DATABASE"');
  });
  beforeEach(again);
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
      expect(await stack.sqlAsApplication(statement)).not.toContain('ERROR');
    }
    for (const statement of ['TRUNCATE things', 'DROP TABLE things', 'SELECT * FROM schema_migrations']) {
      expect(await stack.sqlAsApplication(statement)).toMatch(/permission denied|must be owner/);
    }
  });

  it('that is new ends as one that was migrated step by step', async () => {
    const files = {
      [next]: THINGS,
      [named(2, 'more')]: 'ALTER TABLE things ADD size integer NOT NULL DEFAULT 0;',
    };
    await migrate(stack, { ...first, [next]: THINGS });
    await migrate(stack, { ...first, ...files });
    const stepByStep = await stack.schema();
    await again();
    await migrate(stack, { ...first, ...files });
    expect(await stack.schema()).toBe(stepByStep);
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

  it('takes a file that sets what its session has, as those of pg_dump do, and the next file begins anew', async () => {
    const files = {
      ...first,
      [next]: `SELECT pg_catalog.set_config('search_path', '', false); SET lock_timeout = '1h'; ${THINGS.replaceAll(
        / (things|numbers)\b/g,
        ' public.$1',
      )}`,
      [named(2, 'settings')]:
        "CREATE TABLE settings AS SELECT current_setting('lock_timeout') AS lock_timeout;",
    };
    expect(await migrate(stack, files, 'MIGRATE_LOCK_TIMEOUT=4s')).toMatchObject({ code: 0 });
    expect(await stack.sql('SELECT lock_timeout FROM settings')).toBe('4s');
  });

  it('takes an older version of the application, whose files lack the last one', async () => {
    await migrate(stack, { ...first, [next]: THINGS });
    const { code, output } = await migrate(stack, first);
    expect(code).toBe(0);
    expect(output).toContain(
      `the database has migrations that these files lack: ${next.replace('.sql', '')}`,
    );
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
      'has the number of one that was applied',
      () => ({ [named(1, 'other')]: 'SELECT 1;' }),
      /_things was applied under the number of \d+_other: restore its file/,
    ],
    [
      'ends the transaction by itself',
      () => ({ [next]: THINGS, [named(2, 'half')]: 'BEGIN;\nCREATE TABLE half ();\nCOMMIT;\nSELECT 1 / 0;' }),
      /_half\.sql begins or ends a transaction: remove BEGIN and COMMIT/,
    ],
    [
      'has a name that SQL would read',
      () => ({ [next]: THINGS, [named(2, "it's")]: 'SELECT 1;' }),
      /it's\.sql is no name of a migration/,
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

  it('refuses a file whose number is lower than the last one applied', async () => {
    const files = { ...first, [next]: THINGS, [named(2, 'more')]: 'SELECT 1;' };
    await migrate(stack, files);
    await stack.sql(`DELETE FROM schema_migrations WHERE name = '${next.replace('.sql', '')}'`);
    const { code, output } = await migrate(stack, files);
    expect([code, output]).toEqual([
      1,
      expect.stringMatching(/_things comes after \d+_more, which was applied/),
    ]);
  });

  it('waits for another migrate for longer than Postgres lets a transaction last', async () => {
    await stack.sql("ALTER ROLE CURRENT_USER SET transaction_timeout = '500ms'");
    const holding = 'SET transaction_timeout = 0; SELECT pg_advisory_lock(hashtext($$migrate$$))';
    const held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted";
    const holder = stack.compose(
      'exec',
      '-T',
      'postgres',
      'psql',
      '-c',
      holding,
      '-c',
      'SELECT pg_sleep(60)',
    );
    const ended = holder.catch(() => {});
    await until(async () => (await stack.sql(held)) !== '');
    const waiting = migrate(stack, { ...first, [next]: THINGS });
    const waited = `SELECT count(*) FROM pg_stat_activity
      WHERE application_name = 'migrate' AND wait_event = 'advisory' AND clock_timestamp() - query_start > '1s'`;
    await until(async () => (await stack.sql(waited)) === '1');
    await stack.sql(`SELECT pg_terminate_backend(pid) FROM (${held}) AS holder`);
    await ended;
    expect(await waiting).toEqual({
      code: 0,
      output: expect.stringContaining('waits for another migrate, 60 s at most'),
    });
    await stack.sql('ALTER ROLE CURRENT_USER RESET ALL');
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

  /** Postgres's own health check, run now. */
  const health = async () => {
    const [id = ''] = await stack.containers('postgres');
    const [, ...command]: string[] = JSON.parse(await inspect(id, '{{json .Config.Healthcheck.Test}}'));
    return attempt('docker', 'exec', id, ...command);
  };

  it.each([
    ['another password', 'ALTER ROLE ROLE PASSWORD $$other$$'],
    ['a role that may not log in', 'ALTER ROLE ROLE NOLOGIN'],
    ['no room for a session', 'ALTER ROLE ROLE CONNECTION LIMIT 0'],
    ['another name of the database', 'ALTER DATABASE "DATABASE" RENAME TO other'],
  ])('with %s is not healthy', async (_what, statement) => {
    expect(await health()).toMatchObject({ code: 0 });
    const { role } = JSON.parse(await stack.compose('config', '--format', 'json'))['x-names'];
    const sql = statement.replace(/(?<=ROLE )ROLE/, `"${role}"`);
    await aside(sql);
    expect((await health()).code).not.toBe(0);
    if (statement.startsWith('ALTER DATABASE')) await aside('ALTER DATABASE other RENAME TO "DATABASE"');
    // The start of Postgres sets the role right.
    await stack.compose('restart', 'postgres');
    await stack.startPostgres();
  });

  it('that does not answer a login is not healthy, within the time that Docker gives', async () => {
    const [id = ''] = await stack.containers('postgres');
    const pid = Number(await inspect(id, '{{.State.Pid}}'));
    expect(pid).toBeGreaterThan(0);
    // The server alone, so that the health check itself goes on. From this machine: inside, process 1 ignores it.
    process.kill(pid, 'SIGSTOP');
    try {
      const { code, output } = await health();
      expect([code, output]).toEqual([2, expect.stringContaining('timeout expired')]);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });
});

describe('a site that serves', () => {
  let checkout: Checkout;
  let address: string;
  let env: NodeJS.ProcessEnv;
  const stack = (...args: string[]) => ended('./stack', args, checkout.path, env);
  const compose = async (...args: string[]) =>
    (await run('docker', ['compose', ...args], { cwd: checkout.path, env })).stdout.trim();
  const ids = async (service: string) => (await compose('ps', '--quiet', service)).split('\n').toSorted();
  const web = () => ids('web');
  const git = (...args: string[]) => run('git', args, { cwd: checkout.path });
  const commit = async (message: string) => {
    await git('add', '--all');
    await git(
      '-c',
      'user.name=Test',
      '-c',
      'user.email=test@example.com',
      'commit',
      '--quiet',
      '-m',
      message,
    );
  };
  /** The path of a new migration, which has the next number. */
  const migration = async (name: string) => {
    const folder = join(checkout.path, 'postgres/migrations');
    const number = String((await readdir(folder)).length + 1).padStart(4, '0');
    return join(folder, `${number}_${name}.sql`);
  };

  beforeAll(async () => {
    checkout = await Checkout.copy();
    // With it the images are labelled.
    await git('init', '--quiet');
    await commit('begin');
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
    const file = await migration('broken');
    await writeFile(file, 'CREATE TABLE half (a integer);\nSELECT nonsense;');
    // A change that would replace web.
    const dockerfile = join(checkout.path, 'web/Dockerfile');
    const kept = await readFile(dockerfile, 'utf8');
    await writeFile(dockerfile, `${kept}\nLABEL changed=yes\n`);
    const { code, stderr } = await stack('up');
    expect(code).toBe(1);
    expect(stderr).toMatch(/\/migrations\/\d{4}_broken\.sql:2: ERROR: {2}column "nonsense" does not exist/);
    expect(stderr).toContain('a migration failed, see above: web was not replaced');
    expect(await web()).toEqual(before);
    await subject.write(address);

    await writeFile(file, 'CREATE TABLE whole (a integer);');
    expect(await stack('up')).toMatchObject({ code: 0 });
    expect(await web()).not.toEqual(before);
    await subject.write(address);
  });

  it('keeps Postgres as it is when a commit adds a migration', async () => {
    const before = await ids('postgres');
    await writeFile(await migration('added'), 'CREATE TABLE added (a integer);');
    await commit('add a table');
    expect(await stack('up')).toMatchObject({ code: 0 });
    const psql = ['exec', '-T', 'postgres', 'psql', '-Atc', "SELECT to_regclass('added')"];
    expect(await compose(...psql)).toBe('added');
    expect(await ids('postgres')).toEqual(before);
  });

  it('is not said to have a migration that failed when something else fails after one', async () => {
    await writeFile(await migration('right'), 'CREATE TABLE right_one (a integer);');
    const { code, stderr } = await ended('./stack', ['up'], checkout.path, { ...env, LOG_LEVEL: 'wrong' });
    expect(code).toBe(1);
    expect(stderr).toContain('_right');
    expect(stderr).not.toContain('a migration failed');
    expect(await stack('up')).toMatchObject({ code: 0 });
  });

  it('begins with `docker compose up` alone, which migrates an empty volume before it starts web', async () => {
    await compose('down', '--volumes');
    await compose('up', '--detach');
    await until(() => subject.write(address).then(() => true));
    const once = await compose('ps', '--all', '--quiet', 'migrate');
    const [code, migrated = ''] = (await inspect(once, '{{.State.ExitCode}} {{.State.FinishedAt}}')).split(
      ' ',
    );
    expect(code).toBe('0');
    const began = await Promise.all((await ids('web')).map((id) => inspect(id, '{{.State.StartedAt}}')));
    expect(began).toHaveLength(2);
    for (const time of began) expect(Date.parse(time)).toBeGreaterThanOrEqual(Date.parse(migrated));
  });

  it('that does not answer where it is asked is not said to be up, and ./stack up names the path and the answer', async () => {
    const app = join(checkout.path, 'web/src/app.ts');
    await writeFile(
      app,
      (await readFile(app, 'utf8')).replace("'/health'", "'/other'").replace("'/readyz'", "'/another'"),
    );
    const { code, stderr } = await stack('up');
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(
        /GET \/health through nginx answers:\nNot Found\n\n404\nGET \/readyz of web answers:\nNot Found/,
      ),
    ]);
  });
});
