/** What Postgres forbids to web's role, what it mends by itself, and whom it has room for, tried on the running stack. */
import { Client } from 'pg';
import { describe, expect, it, vi } from 'vitest';
import { PostgresCounter } from '../../../web/src/counter/postgres-store.ts';
import { until } from '../../support/faults.ts';
import { container, healthy, stack } from '../../support/services.ts';
import { attempt, docker, inspect } from '../../support/stack.ts';
import { visit } from './visit.ts';

/** Runs a shell command in Postgres's container, as its user. */
const shell = async (command: string) =>
  attempt('docker', 'exec', await container('postgres'), 'sh', '-c', command);

/** As web logs in: what Postgres says. */
async function asWeb(query: string, database = 'linode'): Promise<string> {
  const psql = `PGPASSWORD=$(cat /run/secrets/web/password) psql -h 127.0.0.1 -U web -d ${database} -Atc "${query}"`;
  return (await shell(psql)).output.trim();
}

/** Postgres's address for a role, from this machine. */
async function url(role: 'linode' | 'web'): Promise<string> {
  const secret = role === 'web' ? 'web' : 'postgres';
  const { output: password } = await shell(`cat /run/secrets/${secret}/password`);
  return `postgres://${role}:${password.trim()}@${await stack.on('back', 'postgres')}/linode`;
}

const answers = async () => (await fetch(stack.address)).status === 200;

async function restartPostgres(): Promise<void> {
  await stack.compose('restart', 'postgres');
  await healthy(await container('postgres'));
  await until(answers);
}

describe('what web may do', () => {
  it('it may count', async () => {
    await visit();
    expect(Number(await asWeb('SELECT visitor_count FROM visitors'))).toBeGreaterThan(0);
  });

  it.each([
    'DROP TABLE visitors',
    'TRUNCATE visitors',
    'DELETE FROM visitors',
    "INSERT INTO visitors (site_id, site_name) VALUES (2, 'mine')",
    "UPDATE visitors SET site_name = 'mine'",
    'BEGIN; LOCK TABLE visitors',
    'ALTER TABLE visitors ADD mine integer',
    'CREATE TABLE mine (a integer)',
    'CREATE TEMPORARY TABLE mine (a integer)',
    'CREATE SCHEMA mine',
    'CREATE EXTENSION pg_trgm',
    'CREATE ROLE mine SUPERUSER',
    'ALTER ROLE web SUPERUSER',
    'ALTER ROLE web CONNECTION LIMIT 1000',
    'ALTER ROLE web SET temp_file_limit = -1',
    'SET temp_file_limit = -1',
    'ALTER SYSTEM SET fsync = off',
    'SET ROLE linode',
    'SELECT rolpassword FROM pg_authid',
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "COPY visitors TO '/tmp/mine'",
    "SELECT pg_read_file('/etc/passwd')",
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = 10',
    "SELECT pg_create_physical_replication_slot('mine')",
    // What would fill the disk.
    "INSERT INTO resets VALUES ('mine', '2099-01-01')",
    'SELECT lo_create(0)',
    'SELECT lo_creat(-1)',
    "SELECT lo_from_bytea(0, 'mine')",
    "SELECT pg_logical_emit_message(false, 'mine', 'mine')",
    'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot()',
  ])('it may not: %s', async (query) => {
    expect(await asWeb(query)).toMatch(
      /ERROR: {2}(permission denied|must be|access to|.*[Oo]nly (roles|superusers))/,
    );
  });

  it.each(['postgres', 'template1', 'template0'])('it has no way into the database %s', async (database) => {
    expect(await asWeb('SELECT 1', database)).toMatch(/FATAL: .*(permission denied|not currently accepting)/);
  });

  it.each([
    ['write temporary files', 'SELECT count(*) FROM generate_series(1, 999999)', 'temp_file_limit'],
    [
      'queue notifications without end',
      "SELECT count(pg_notify('mine', repeat('x', 7900) || a)) FROM generate_series(1, 999) a",
      'too many notifications',
    ],
    [
      'note a reset under a name of any length',
      "INSERT INTO resets (id) VALUES (repeat('x', 129))",
      'resets_id_short',
    ],
    [
      'set the count beyond what a number holds exactly',
      'UPDATE visitors SET visitor_count = 9007199254740993',
      'visitors_exact',
    ],
    ['set the epoch beyond it', 'UPDATE visitors SET epoch = 9223372036854775807', 'visitors_exact'],
  ])('it cannot %s', async (_what, query, refusal) => {
    expect(await asWeb(query)).toMatch(new RegExp(`ERROR: .*${refusal}`));
  });

  it('one statement notes one reset, however many it tries', async () => {
    const flood = 'INSERT INTO resets (id) SELECT md5(generate_series(1, 1000)::text) ON CONFLICT DO NOTHING';
    expect(await asWeb(flood)).toBe('INSERT 0 1');
  });

  it('nobody gets in without a password, not from inside the container either', async () => {
    for (const host of ['127.0.0.1', '/var/run/postgresql']) {
      const { output } = await shell(`PGPASSFILE=/dev/null psql --no-password -h ${host} -c 'SELECT 1'`);
      expect(output).toContain('no password supplied');
    }
  });
});

describe('what web does to its own role', () => {
  it.each([
    ["ALTER ROLE web PASSWORD 'mine'"],
    ['ALTER ROLE web SET default_transaction_read_only = on'],
    ['ALTER ROLE web IN DATABASE linode SET search_path = mine'],
    ['ALTER ROLE web SET idle_session_timeout = 1'],
  ])('%s: is undone by a restart of Postgres', async (query) => {
    expect(await asWeb(query)).toBe('ALTER ROLE');
    await restartPostgres();
    // Sessions that began before end with the server: these visits are counted in new ones.
    expect(await visit()).toBeGreaterThan(0);
    expect(await asWeb('SHOW temp_file_limit')).toBe('0');
    expect((await fetch(`${stack.address}/resetcounter`)).status).toBe(200);
  });

  it('what a superuser did to it is undone as well', async () => {
    await stack.sql('ALTER ROLE web NOLOGIN CONNECTION LIMIT 0 SUPERUSER');
    await restartPostgres();
    expect(await visit()).toBeGreaterThan(0);
  });

  it('what a superuser did to its privileges is undone by migrate', async () => {
    await stack.sql('REVOKE SELECT ON visitors FROM web; GRANT INSERT ON visitors TO web');
    await stack.migrate();
    await until(answers);
    expect(await asWeb("INSERT INTO visitors VALUES (2, 'mine')")).toContain('permission denied');
  });
});

describe('a transaction that keeps the row locked', () => {
  it.each([
    ['is forgotten in an open session', ['SELECT FROM visitors FOR UPDATE'], '25P03'],
    ['is busy for long', ['SELECT FROM visitors FOR UPDATE', 'SELECT pg_sleep(600)'], '25P04'],
    ['has the whole table, and waits', ['LOCK TABLE visitors'], '25P03'],
  ])('%s: it is ended, and visits are counted again', async (_what, [lock = '', ...others], code) => {
    await visit();
    const holder = new Client(await url('linode'));
    const said: unknown[] = [];
    const note = (error: Error) => said.push('code' in error && error.code);
    holder.on('error', note);
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    holder.on('end', resolve);
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query(lock);
    for (const statement of others) holder.query(statement).catch(note);
    void fetch(stack.address);
    await until(async () => (await stack.sql('SELECT count(*) FROM pg_locks WHERE NOT granted')) !== '0');
    await ended;
    expect(said).toContain(code);
    await until(answers);
  });
});

describe('whom it has room for', () => {
  it('nine replicas twice, each with all its sessions at work, and a superuser beside them', async () => {
    const address = await url('web');
    const replicas = Array.from({ length: 18 }, () => new PostgresCounter(address, 10_000));
    try {
      const epoch = Number(await stack.sql('SELECT epoch FROM visitors'));
      const rounds = replicas.map(async (replica, index) => {
        for (let round = 0; round < 20; round++) {
          await Promise.all([
            replica.read(),
            replica.commit(epoch, 1),
            replica.reset(0, { id: `room-${index}`, sentAt: Date.now() }),
          ]);
        }
      });
      await Promise.all(rounds);
      const sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'web'";
      expect(Number(await stack.sql(sessions))).toBeGreaterThanOrEqual(54);
      expect(await visit()).toBeGreaterThan(0);
    } finally {
      await Promise.all(replicas.map((replica) => replica.close()));
    }
  });

  it('web cannot take every connection: others get in while it tries', async () => {
    const clients: Client[] = [];
    const address = await url('web');
    try {
      const open = async () => {
        const client = new Client(address);
        client.on('error', () => {});
        await client.connect();
        clients.push(client);
      };
      for (;;) {
        const refused: unknown = await open().catch((error) => error);
        if (refused === undefined) continue;
        expect(refused).toMatchObject({ message: 'too many connections for role "web"' });
        break;
      }
      expect(await stack.sql('SELECT 1')).toBe('1');
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
    await until(answers);
  });

  it('a session whose client was cut off is closed, and makes room', async () => {
    const network = `${stack.project}_back`;
    const postgres = await container('postgres');
    const environment = ['--env', 'PGPASSWORD'];
    vi.stubEnv('PGPASSWORD', (await shell('cat /run/secrets/web/password')).output.trim());
    const psql = '(sleep 300) | PGAPPNAME=vanished psql -h postgres -U web linode';
    const image = await inspect(postgres, '{{.Image}}');
    const { stdout } = await docker(
      ...[
        'run',
        '--detach',
        '--rm',
        '--network',
        network,
        ...environment,
        '--entrypoint',
        'sh',
        image,
        '-c',
        psql,
      ],
    );
    vi.unstubAllEnvs();
    const id = stdout.trim();
    try {
      const sessions = () =>
        stack.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vanished'");
      await until(async () => (await sessions()) === '1');
      await docker('network', 'disconnect', network, id);
      await vi.waitFor(async () => expect(await sessions()).toBe('0'), { timeout: 50_000, interval: 200 });
    } finally {
      await docker('rm', '--force', id);
    }
  });
});
