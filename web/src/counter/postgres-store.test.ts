import { readFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { expect, it } from 'vitest';
import { AS_NEW } from '../../../test/counter/as-new.ts';
import { postgresContract } from '../../../test/counter/contract.ts';
import { PostgresCounter } from './postgres-store.ts';

// Creating a PGlite takes long on a busy machine.
const CREATED_MS = 60_000;

/** A store whose connections share one session, that of an embedded Postgres, as `npm start` has it. */
async function start() {
  await using stack = new AsyncDisposableStack();
  const db = stack.use(await PGlite.create());
  await db.exec(await readFile('postgres/migrations/0001_counter.sql', 'utf8'));
  const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: 0, maxConnections: 10 });
  await server.start();
  stack.defer(() => server.stop());
  const said: string[] = [];
  const store = new PostgresCounter(`postgres://postgres@${server.getServerConn()}/postgres`, 5000, {
    warn: (_fields, message) => said.push(message),
  });
  stack.defer(() => store.close());
  const owned = stack.move();
  return {
    store,
    said,
    empty: async () => void (await db.exec(AS_NEW)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

postgresContract('PGlite', start, CREATED_MS);

it('counts where all connections share one session, and says once that it prepares no statements', {
  timeout: CREATED_MS,
}, async () => {
  await using postgres = await start();
  const { store, said } = postgres;
  const { epoch } = await store.read();
  // Two at a time take two connections, and the same statement to both.
  await Promise.all([store.commit(epoch, 1), store.commit(epoch, 2)]);
  await Promise.all([store.commit(epoch, 3), store.commit(epoch, 4)]);
  expect((await store.read()).count).toBe(4);
  expect(said).toEqual(['a pooler shares sessions: statements are not prepared']);
});
