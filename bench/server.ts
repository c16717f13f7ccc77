/**
 * What `GET /` is compared with, each bundled and run as web is (bench/arms.ts): `nothing`, a route of Express that does
 * nothing, as it is usually written; `lean`, the same, answered as web answers; `script` and `commit`, which wait for one
 * script or for one commit before they do; `incr` and `update`, which count as an engineer would write it by hand; and `original`, which
 * counts as the guide's Python does.
 */
import { createServer } from 'node:http';
import express, { type Response } from 'express';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { answer } from '../web/src/answer.ts';
import { readConfig, Settings } from '../web/src/config.ts';
import { RedisCounter } from '../web/src/counter/redis-store.ts';

const arm = process.argv[2] ?? '';
const config = readConfig(new Settings(process.env));
const text = (number: number | string) => `Hello Linode!  This page has been viewed ${number} time(s).`;
const usually = (res: Response, number: number | string) => {
  res.type('html').set('Cache-Control', 'no-store').send(text(number));
};
const leanly = (res: Response) => answer(res, 200, 'html', text(123_456));

/** Waits for Redis once: an epoch that it does not hold takes the script as long, and changes nothing. */
function script(): (res: Response) => Promise<void> {
  const counter = new RedisCounter(config.redisUrl ?? '', 1000);
  return async (res) => {
    await counter.increment(0, 1);
    leanly(res);
  };
}

/** Waits for Postgres once. */
function commit(): (res: Response) => Promise<void> {
  const postgres = new Pool({ connectionString: config.postgresUrl, max: 1 });
  const query = {
    name: 'commit',
    text: 'UPDATE visitors SET visitor_count = visitor_count + 1 WHERE site_id = 2',
  };
  return async (res) => {
    await postgres.query(query);
    leanly(res);
  };
}

/** Redis alone: a restart, or a failover to a replica that lags, loses visits and repeats numbers. */
function incr(): (res: Response) => Promise<void> {
  const redis = new Redis(config.redisUrl ?? '');
  return async (res) => usually(res, await redis.incr('bench_count'));
}

/** Postgres alone: each visit waits for the row's lock and for a commit of its own. */
function update(): (res: Response) => Promise<void> {
  const postgres = new Pool({ connectionString: config.postgresUrl, max: 10 });
  const text =
    'UPDATE visitors SET visitor_count = visitor_count + 1 WHERE site_id = 2 RETURNING visitor_count';
  return async (res) => {
    const { rows } = await postgres.query({ name: 'update', text });
    usually(res, rows[0].visitor_count);
  };
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
    usually(res, number);
  };
}

const handlers: Record<string, () => (res: Response) => void | Promise<void>> = {
  nothing: () => (res) => usually(res, 123_456),
  lean: () => leanly,
  script,
  commit,
  incr,
  update,
  original,
};
const handle = handlers[arm]?.();
if (!handle) throw new Error(`there is no arm '${arm}': give one of ${Object.keys(handlers).join(', ')}`);

// As app.ts and main.ts have them: what is compared is the counting. And no entity tags, which web's answers have not.
const app = express();
for (const setting of ['x-powered-by', 'etag']) app.disable(setting);
for (const setting of ['case sensitive routing', 'strict routing']) app.enable(setting);
app.set('query parser', false);
app.get('/', (_req, res) => handle(res));
const optimizeEmptyRequests = !['nothing', 'incr', 'update', 'original'].includes(arm);
createServer({ keepAliveTimeout: 65_000, optimizeEmptyRequests }, app).listen(config.port);
process.on('SIGTERM', () => process.exit(0));
