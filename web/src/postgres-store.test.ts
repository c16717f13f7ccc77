import { readFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { expect, it } from 'vitest';
import { PostgresCounter } from './postgres-store.ts';

it('prepares each statement once for each connection, though all of them share one session', async () => {
  await using db = await PGlite.create();
  await db.exec(await readFile('postgres/init.sql', 'utf8'));
  const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: 0, maxConnections: 10 });
  await server.start();
  const counter = new PostgresCounter(`postgres://postgres@${server.getServerConn()}/postgres`, 5000);
  try {
    const { epoch } = await counter.read();
    // Two at a time take two connections, and the same statement to both.
    await Promise.all([counter.record(epoch, 1), counter.record(epoch, 2)]);
    await Promise.all([counter.record(epoch, 3), counter.record(epoch, 4)]);
    expect((await counter.read()).count).toBe(4);
    const { rows } = await db.query<{ name: string }>(
      'SELECT name FROM pg_prepared_statements ORDER BY name',
    );
    expect(rows.map(({ name }) => name)).toEqual(['read 1', 'record 1', 'record 2']);
  } finally {
    await counter.close();
    await server.stop();
  }
});
