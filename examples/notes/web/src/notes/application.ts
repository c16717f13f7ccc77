/** Notes: a little application with what most have, on the same stack as the counter. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { compare, hash } from 'bcrypt';
import express, { type Response, Router } from 'express';
import { refuse } from '../answer.ts';
import { type Application, type Given, type Readiness, requestId, state } from '../app.ts';
import type { Settings } from '../config.ts';
import { Postgres, prepared } from '../connect-postgres.ts';
import { RedisConnection } from '../connect-redis.ts';

interface NotesConfig {
  /** What the page is called. */
  title: string;
}

export function readApplicationConfig(settings: Settings): NotesConfig {
  return { title: settings.text('NOTES_TITLE') ?? 'Notes' };
}

/** How long a report may take (ms): NGINX waits 60 s for it. */
const REPORT_MS = 10_000;
/** Above NGINX's limit (MAX_BODY_SIZE), which so decides. */
const UPLOAD_LIMIT = '100mb';
/** An event without a meaning, so that nothing on the way takes the stream for dead (ms). */
const HEARTBEAT_MS = 20_000;

const INSERT = prepared('INSERT INTO notes (text, secret) VALUES ($1, $2) RETURNING id, text');
const FIND = prepared('SELECT id, text FROM notes WHERE strpos(text, $1) > 0 ORDER BY id DESC LIMIT 100');
const GET = prepared('SELECT id, text, secret FROM notes WHERE id = $1');
const PUT = prepared('UPDATE notes SET text = $2, changes = changes + 1 WHERE id = $1 RETURNING id, text');
const DELETE = prepared('DELETE FROM notes WHERE id = $1 RETURNING id');
const UPLOAD = prepared('INSERT INTO uploads (sha256, bytes) VALUES ($1, $2) RETURNING id');
const REPORT = prepared('SELECT count(*)::int AS notes, pg_sleep($1) FROM notes');

export function createApplication({ config, log, stopping }: Given<NotesConfig>): Application {
  const postgres = new Postgres(config.postgresUrl, config.postgresTimeoutMs, log);
  const reports = new Postgres(config.postgresUrl, REPORT_MS, log, 1);
  const connect = () => new RedisConnection(config.redisUrl ?? '', config.redisTimeoutMs, log);
  const [publisher, subscriber] = [connect(), connect()];

  // Each replica tells its own listeners of what any replica wrote.
  const listeners = new Set<Response>();
  subscriber.client.on('ready', () => subscriber.ask(subscriber.client.subscribe('notes')).catch(() => {}));
  subscriber.client.on('message', (_channel, note) => {
    for (const listener of listeners) listener.write(`data: ${note}\n\n`);
  });
  stopping.addEventListener('abort', () => {
    for (const listener of listeners) listener.end();
  });

  const routes = Router();
  routes.use(express.static(join(import.meta.dirname, 'public')));
  routes.get('/title', (_req, res) => {
    res.json({ title: config.title });
  });

  routes.get('/notes', async (req, res) => {
    res.json((await postgres.query(FIND, [String(req.query.search ?? '')])).rows);
  });
  routes.post('/notes', express.json(), async (req, res) => {
    const { text, secret } = req.body ?? {};
    if (typeof text !== 'string' || text === '') return refuse(res, 400, 'send {"text": "..."}');
    const hashed = typeof secret === 'string' ? await hash(secret, 10) : null;
    const [note] = (await postgres.query(INSERT, [text, hashed])).rows;
    // Without Redis the note is written all the same, and nobody is told.
    await publisher.ask(publisher.client.publish('notes', JSON.stringify(note))).catch(() => {});
    log.info({ requestId: requestId(req), id: note.id }, 'note written');
    res.status(201).location(`${req.protocol}://${req.host}/notes/${note.id}`).json(note);
  });
  routes.get('/notes/:id', async (req, res) => {
    const [note] = (await postgres.query(GET, [req.params.id])).rows;
    if (!note) return refuse(res, 404);
    const { secret, ...open } = note;
    if (secret && !(await compare(String(req.query.secret ?? ''), secret))) return refuse(res, 403);
    res.json(open);
  });
  routes.put('/notes/:id', express.json(), async (req, res) => {
    const [note] = (await postgres.query(PUT, [req.params.id, String(req.body?.text)])).rows;
    if (note) res.json(note);
    else refuse(res, 404);
  });
  routes.delete('/notes/:id', async (req, res) => {
    const { rowCount } = await postgres.query(DELETE, [req.params.id]);
    if (rowCount) res.status(204).end();
    else refuse(res, 404);
  });

  routes.post('/uploads', express.raw({ type: '*/*', limit: UPLOAD_LIMIT }), async (req, res) => {
    const body: unknown = req.body;
    if (!Buffer.isBuffer(body)) return refuse(res, 400, 'send a file');
    const sha256 = createHash('sha256').update(body).digest('hex');
    const [{ id }] = (await postgres.query(UPLOAD, [sha256, body.length])).rows;
    res.status(201).json({ id, sha256, bytes: body.length });
  });

  routes.get('/report', async (req, res) => {
    const [{ notes }] = (await reports.query(REPORT, [Math.min(Number(req.query.seconds ?? 3), 8)])).rows;
    res.json({ notes });
  });

  routes.get('/events', (_req, res) => {
    res.type('text/event-stream').set('Cache-Control', 'no-store').write('retry: 1000\n\n');
    listeners.add(res);
    const heartbeat = setInterval(() => res.write(':\n\n'), HEARTBEAT_MS);
    res.on('close', () => {
      clearInterval(heartbeat);
      listeners.delete(res);
    });
  });

  return {
    routes,
    async readiness(): Promise<Readiness> {
      const [redis, up] = await Promise.all([
        state(publisher.ask(publisher.client.ping())),
        state(postgres.query(GET, [0])),
      ]);
      return {
        status: up !== 'up' ? 'unavailable' : redis !== 'up' ? 'degraded' : 'ok',
        redis,
        postgres: up,
      };
    },
    async close() {
      for (const store of [postgres, reports, publisher, subscriber]) store.close();
    },
  };
}
