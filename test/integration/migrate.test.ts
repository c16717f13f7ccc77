/** postgres/migrate.sh on a Postgres that is not the stack's: as an owner who is no superuser, with a password of the environment. */
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Store, startPostgres } from '../support/containers.ts';
import { attempt, docker } from '../support/stack.ts';
import { CHECKOUT } from '../support/this-checkout.ts';

const IMAGE = `migrate-${CHECKOUT}`;

describe('migrate, on another Postgres', () => {
  let postgres: Store;
  let admin: Client;
  let url: URL;

  /** As docs/database.md runs it. */
  const migrate = (settings: Record<string, string>) =>
    attempt(
      ...(['docker', 'run', '--rm', '--network', 'host'] as const),
      ...Object.entries(settings).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
      IMAGE,
    );
  const settings = () => ({
    PGHOST: url.hostname,
    PGPORT: url.port,
    PGDATABASE: 'external',
    PGUSER: 'external_owner',
    PGPASSWORD: 'secret',
    APPLICATION_ROLE: 'external_web',
  });
  /** What Postgres answers one of the roles. */
  async function as(role: string, query: string): Promise<unknown[][]> {
    const client = new Client({
      ...{ host: url.hostname, port: Number(url.port), database: 'external' },
      ...{ user: role, password: 'secret' },
    });
    await client.connect();
    try {
      return (await client.query({ text: query, rowMode: 'array' })).rows;
    } finally {
      await client.end();
    }
  }

  beforeAll(async () => {
    const base = process.env.POSTGRES_IMAGE ?? '';
    const options = ['--quiet', '--target', 'migrate', '--build-arg', `POSTGRES_IMAGE=${base}`];
    await docker('build', ...options, '--tag', IMAGE, 'postgres');
    postgres = await startPostgres();
    url = new URL(postgres.url);
    admin = new Client(postgres.url);
    await admin.connect();
    for (const role of ['external_owner', 'external_web']) {
      await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    }
    await admin.query('CREATE DATABASE external OWNER external_owner');
    const rights = 'ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT';
    await as('external_owner', `${rights} SELECT, INSERT, UPDATE, DELETE ON TABLES TO external_web`);
  });
  afterAll(async () => {
    await admin.end();
    await postgres[Symbol.asyncDispose]();
    await docker('rmi', IMAGE);
  });

  it('applies what is lacking, and the application reads every table but the list of migrations', async () => {
    expect(await migrate(settings())).toEqual({ code: 0, output: expect.stringMatching(/^migrate: 0001_/) });
    expect(await migrate(settings())).toEqual({ code: 0, output: '' });
    const tables = await as('external_owner', "SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
    expect(tables.flat()).toContain('schema_migrations');
    for (const table of tables.flat()) {
      const read = as('external_web', `SELECT FROM ${table}`);
      if (table === 'schema_migrations') await expect(read).rejects.toThrow('permission denied');
      else await expect(read).resolves.toBeInstanceOf(Array);
    }
  });

  it('says which variable is missing, and what Postgres says of a wrong one', async () => {
    const { APPLICATION_ROLE: _, ...others } = settings();
    const lacking = await migrate(others);
    expect([lacking.code, lacking.output]).toEqual([
      1,
      expect.stringContaining('APPLICATION_ROLE has to name'),
    ]);
    const wrong = await migrate({ ...settings(), PGPASSWORD: 'wrong' });
    expect([wrong.code, wrong.output]).toEqual([
      1,
      expect.stringMatching(
        /password authentication failed for user "external_owner"[\s\S]*migrate failed: /,
      ),
    ]);
  });
});
