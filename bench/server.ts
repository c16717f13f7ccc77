/**
 * What `GET /` is compared with, each bundled and run as web is (bench/arms.ts): `nothing`, a route of Express
 * that does nothing, and `original`, which counts as the guide's Python does.
 */
import express, { type Response } from 'express';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { readConfig } from '../web/src/config.ts';

const config = readConfig(process.env);

function answer(res: Response, number: number | string): void {
  res.type('html').set('Cache-Control', 'no-store');
  res.send(`Hello Linode!  This page has been viewed ${number} time(s).`);
}

/** EXISTS, INCR, GET, and an UPDATE over a connection of its own. Nothing orders the updates: the last one wins. */
function original(): (res: Response) => Promise<void> {
  const redis = new Redis(config.redisUrl ?? '');
  // A connection for each visit: used once. At most so many at a time, or at 256 visitors Postgres refuses most.
  const postgres = new Pool({ connectionString: config.postgresUrl, max: 5, maxUses: 1 });
  return async (res) => {
    if (!(await redis.exists('original_count'))) await redis.set('original_count', 0);
    await redis.incr('original_count');
    const number = (await redis.get('original_count')) ?? '';
    await postgres.query('UPDATE visitors SET visitor_count = $1 WHERE site_id = 2', [number]);
    answer(res, number);
  };
}

// As app.ts has them: what is compared is the counting.
const app = express();
for (const setting of ['x-powered-by', 'etag']) app.disable(setting);
for (const setting of ['case sensitive routing', 'strict routing']) app.enable(setting);
app.set('query parser', false);
if (process.argv[2] === 'original') {
  const count = original();
  app.get('/', (_req, res) => count(res));
} else {
  app.get('/', (_req, res) => answer(res, 123_456));
}
const server = app.listen(config.port);
// As main.ts has it: longer than NGINX's.
server.keepAliveTimeout = 65_000;
process.on('SIGTERM', () => process.exit(0));
