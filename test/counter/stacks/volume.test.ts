/** Volumes that earlier versions of this project made, without a table of migrations: what the present one makes of them. */
import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Stack } from '../../support/stack.ts';
import { CHECKOUT } from '../../support/this-checkout.ts';
import { FIRST_SCHEMA } from '../first-schema.ts';

const stack = new Stack(`volume-${CHECKOUT}`, '0');
const MIGRATION = 'postgres/migrations/0001_counter.sql';

/** The first version of the tables, and what web might do with them. */
const FIRST = `${FIRST_SCHEMA}
  GRANT SELECT, INSERT, UPDATE, DELETE ON visitors, resets TO web;`;

/** The second, which noted when a reset was sent. */
const SECOND = `${FIRST}
  ALTER TABLE resets ADD COLUMN sent_at timestamptz NOT NULL DEFAULT now();`;

/** The last version before there were migrations: it made the tables as the first migration does. */
const last = async () => `${await readFile(MIGRATION, 'utf8')}
  GRANT SELECT, UPDATE (visitor_count, epoch, counting) ON visitors TO web;
  GRANT SELECT, INSERT (id, sent_at), DELETE ON resets TO web;`;

let fresh: string;

beforeAll(async () => {
  await stack.compose('down', '--volumes');
  await stack.compose('build', 'postgres', 'migrate');
  await stack.startPostgres();
  await stack.migrate();
  fresh = await stack.schema();
  await stack.compose('down', '--volumes');
});
afterEach(() => stack.compose('down', '--volumes'));
afterAll(() => stack.compose('down', '--volumes', '--rmi', 'local'));

it.each<[string, () => Promise<string>]>([
  ['the first version', async () => FIRST],
  ['the second version', async () => SECOND],
  ['the last version before there were migrations', last],
])('a volume of %s gets the schema of a new one, and keeps its count', async (_version, made) => {
  await stack.startPostgres();
  // What the present version gives to a new volume, and an earlier one did not.
  await stack.sql('ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM web');
  await stack.sql('ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM web');
  await stack.sql(await made());
  await stack.sql("UPDATE visitors SET visitor_count = 7, epoch = 8, counting = 'postgres'");
  expect(await stack.schema()).not.toBe(fresh);
  await stack.compose('down');

  await stack.startPostgres();
  await stack.migrate();
  expect(await stack.schema()).toBe(fresh);
  expect(await stack.sql('SELECT visitor_count, epoch, counting FROM visitors')).toBe('7|8|postgres');
  expect(await stack.sql('SELECT version, name FROM schema_migrations ORDER BY version LIMIT 1')).toBe(
    '1|0001_counter',
  );
});
