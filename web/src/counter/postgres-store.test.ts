import { readFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { expect, it } from 'vitest';
import { PostgresCounter } from './postgres-store.ts';

// Creating a PGlite takes long on a busy machine.
it('counts where all connections share one session, and says once that it prepares no statements', {
  timeout: 60_000,
}, async () => {
  await using db = await PGlite.create();
  await db.exec(await readFile('postgres/migrations/0001_counter.sql', 'utf8'));
  const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: 0, maxConnections: 10 });
  await server.start();
  const said: string[] = [];
  const counter = new PostgresCounter(`postgres://postgres@${server.getServerConn()}/postgres`, 5000, {
    warn: (_fields, message) => said.push(message),
  });
  try {
    const { epoch } = await counter.read();
    // Two at a time take two connections, and the same statement to both.
    await Promise.all([counter.commit(epoch, 1), counter.commit(epoch, 2)]);
    await Promise.all([counter.commit(epoch, 3), counter.commit(epoch, 4)]);
    expect((await counter.read()).count).toBe(4);
    expect(said).toEqual(['a pooler shares sessions: statements are not prepared']);
  } finally {
    await counter.close();
    await server.stop();
  }
});
