/**
 * `npm start`: the application on this machine, without Docker. Where no Postgres is named it brings its own
 * (PGlite: Postgres compiled to WebAssembly), and where no Redis is named it runs without one, and Postgres is the sequencer.
 * None of this is in the production image.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

const root = join(import.meta.dirname, '..');

if (!process.env.DATABASE_URL && !process.env.DATABASE_URL_FILE && !process.env.PGHOST) {
  const data = process.env.DATA || join(root, '.data', 'postgres');
  await mkdir(data, { recursive: true });
  const db = await PGlite.create(data);
  await db.exec("SELECT set_config('stack.role', current_user, false)");
  await migrate(db, join(root, 'postgres', 'migrations'));
  // The application speaks to it as to any Postgres, over a socket: nothing in it knows the difference.
  const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: 0, maxConnections: 10 });
  await server.start();
  process.env.DATABASE_URL = `postgres://postgres@${server.getServerConn()}/postgres`;
  console.log(`No DATABASE_URL: using an embedded Postgres, its data in ${data}`);
}
if (!process.env.REDIS_URL && !process.env.REDIS_URL_FILE) {
  console.log('No REDIS_URL: running without Redis, as when Redis is down: Postgres is the sequencer');
}
console.log(`Try: curl localhost:${process.env.PORT || 8000}`);

await import('../web/src/main.ts');

/** As postgres/migrate.sh, but for its checks: each file once, in a transaction unless its first line refuses one. */
async function migrate(db: PGlite, directory: string): Promise<void> {
  await db.exec('CREATE TABLE IF NOT EXISTS public.schema_migrations (name text PRIMARY KEY)');
  for (const name of (await readdir(directory)).filter((file) => file.endsWith('.sql')).toSorted()) {
    const found = await db.query('SELECT FROM public.schema_migrations WHERE name = $1', [name]);
    if (found.rows.length > 0) continue;
    const file = await readFile(join(directory, name), 'utf8');
    const apply = async (session: Pick<PGlite, 'exec' | 'query'>) => {
      await session.exec(file);
      await session.query('INSERT INTO public.schema_migrations VALUES ($1)', [name]);
    };
    if (file.startsWith('-- no transaction')) await apply(db);
    else await db.transaction(apply);
    // Here the owner is the application's role, too.
    await db.exec("RESET ALL; SELECT set_config('stack.role', current_user, false)");
  }
}
