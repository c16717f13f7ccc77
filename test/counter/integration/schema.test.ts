/** The counter's tables, made again: on a database of today, and on one that an earlier version made. */
import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Store, startPostgres } from '../../support/containers.ts';
import { FIRST_SCHEMA } from '../first-schema.ts';

describe('the schema', () => {
  let postgres: Store;
  let admin: Client;
  let db: Client;
  let schema: string;

  beforeAll(async () => {
    postgres = await startPostgres();
    schema = await readFile('postgres/migrations/0001_counter.sql', 'utf8');
    admin = new Client(postgres.url);
    await admin.connect();
  });
  afterAll(async () => {
    await admin.end();
    await postgres[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await admin.query('CREATE DATABASE test');
    db = new Client(postgres.url.replace(/linode$/, 'test'));
    await db.connect();
  });
  afterEach(async () => {
    await db.end();
    await admin.query('DROP DATABASE test');
  });

  const row = async () => (await db.query('SELECT * FROM visitors')).rows[0];
  /** All that psql would show of it. */
  const shape = async () => {
    const { rows } = await db.query(`
      SELECT relname, attname, format_type(atttypid, atttypmod), collname
        FROM pg_class c JOIN pg_attribute ON attrelid = c.oid LEFT JOIN pg_collation l ON l.oid = attcollation
       WHERE relnamespace = 'public'::regnamespace AND attnum > 0
       UNION ALL SELECT conname, pg_get_constraintdef(oid), '', '' FROM pg_constraint
       UNION ALL SELECT tablename, indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2`);
    return rows;
  };

  it('changes nothing that is counted when it runs again, however often', async () => {
    await db.query(schema);
    const made = await shape();
    await db.query("UPDATE visitors SET visitor_count = 7, epoch = 8, counting = 'postgres'");
    await db.query("INSERT INTO resets (id) VALUES ('a')");
    for (let time = 0; time < 3; time++) await db.query(schema);
    expect(await row()).toMatchObject({ visitor_count: '7', epoch: '8', counting: 'postgres' });
    expect((await db.query('SELECT id FROM resets')).rows).toEqual([{ id: 'a' }]);
    expect(await shape()).toEqual(made);
  });

  it('makes of the first version what it makes of an empty database, and keeps what is counted', async () => {
    await db.query(schema);
    const made = await shape();
    await db.query(`DROP TABLE visitors, resets; ${FIRST_SCHEMA}`);
    await db.query('UPDATE visitors SET visitor_count = 7, epoch = 8');
    await db.query("INSERT INTO resets (id) VALUES ('a')");
    await db.query(schema);
    expect(await shape()).toEqual(made);
    expect(await row()).toMatchObject({ visitor_count: '7', epoch: '8' });
    expect((await db.query('SELECT id FROM resets')).rows).toEqual([{ id: 'a' }]);
  });

  it('mends rows of the first version that the constraints of today refuse', async () => {
    await db.query(FIRST_SCHEMA);
    await db.query('UPDATE visitors SET visitor_count = 9223372036854775807, epoch = 9223372036854775807');
    await db.query("INSERT INTO resets (id) SELECT repeat('x', 200) || generate_series(1, 1000)");
    const before = Date.now();
    await db.query(schema);
    const { visitor_count, epoch } = await row();
    expect(Number(visitor_count)).toBe(2 ** 53);
    expect(Math.abs(Number(epoch) - before)).toBeLessThan(60_000);
    expect((await db.query('SELECT FROM resets')).rowCount).toBe(1);
  });

  it.each([
    'visitor_count = 9007199254740993',
    'epoch = 9007199254740992',
    'epoch = -1',
    'visitor_count = -1',
  ])('refuses %s, and takes what a number of JavaScript holds', async (change) => {
    await db.query(schema);
    await expect(db.query(`UPDATE visitors SET ${change}`)).rejects.toThrow('violates check constraint');
    const most = Number.MAX_SAFE_INTEGER;
    await db.query('UPDATE visitors SET visitor_count = $1, epoch = $1', [most]);
    expect(await row()).toMatchObject({ visitor_count: String(most), epoch: String(most) });
  });
});
