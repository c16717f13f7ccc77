import { randomUUID } from 'node:crypto';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { Logger } from 'pino';
import { type Counter, StoreError, Unavailable } from './counter.ts';
import { isPrivate, resetGuard } from './reset-guard.ts';

/** What /readyz answers. Without Redis the app still counts; without Postgres it cannot. */
export interface Readiness {
  status: 'ok' | 'degraded' | 'unavailable';
  redis: string;
  postgres: string;
  /** Who numbered the last visits. */
  countedBy: string;
}

export interface AppOptions {
  counter: Pick<Counter, 'visit' | 'reset'>;
  readiness: () => Promise<Readiness>;
  log: Logger;
  /** Undefined: whoever asks from a private network may reset. */
  resetToken: string | undefined;
}

/** What a 503 tells a client to wait, in seconds: about what a restart of Postgres takes. */
const RETRY_AFTER_S = 2;

/** Builds the application: the routes, and errors to HTTP. It never listens. */
export function createApp({ counter, readiness, log, resetToken }: AppOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  // An entity tag is a hash of every body, for answers that no cache may keep.
  app.disable('etag');
  // As the original: /resetcounter is a route, /ResetCounter and /resetcounter/ are not.
  app.enable('case sensitive routing');
  app.enable('strict routing');
  // No route reads a query.
  app.set('query parser', false);
  // NGINX says whom it asks for, and NGINX is on a private network.
  app.set('trust proxy', isPrivate);

  /** NGINX names each request; the same name in both logs joins them. */
  const requestId = (req: Request) => req.get('x-request-id') || randomUUID();

  const route = (
    path: string,
    type: 'html' | 'json',
    answer: (req: Request, res: Response) => Promise<void>,
  ) =>
    app
      .route(path)
      .get(async (req, res) => {
        res.type(type).set('Cache-Control', 'no-store');
        // Express answers `*` with 304, and the visitor never sees the number that was counted for it.
        delete req.headers['if-none-match'];
        await answer(req, res);
      })
      .options((_req, res) => {
        res.set('Allow', 'GET, HEAD, OPTIONS').status(204).end();
      })
      .all((_req, res) => {
        res.set('Allow', 'GET, HEAD, OPTIONS');
        plain(res, 405, 'Method Not Allowed');
      });

  // Express hands HEAD to GET, where it would count and reset.
  app.head(['/', '/resetcounter'], (_req, res) => {
    res.type('html').set('Cache-Control', 'no-store').end();
  });

  route('/', 'html', async (req, res) => {
    const number = await counter.visit(() => res.closed);
    log.debug({ requestId: requestId(req), number }, 'visit');
    res.send(`Hello Linode!  This page has been viewed ${number} time(s).`);
  });

  const refuses = resetGuard(resetToken);
  route('/resetcounter', 'html', async (req, res) => {
    const id = requestId(req);
    const refusal = refuses(req, res);
    if (refusal) {
      log.warn({ requestId: id, client: req.ip, reason: refusal.reason }, 'reset refused');
      return plain(res, refusal.status, refusal.reason);
    }
    await counter.reset(id);
    log.info({ requestId: id }, 'reset visitor count');
    res.send('Successfully deleted redis and postgres counters');
  });

  // Live: the event loop turns.
  route('/healthz', 'json', async (_req, res) => {
    res.send({ status: 'ok' });
  });

  // Ready: it can count.
  route('/readyz', 'json', async (_req, res) => {
    const state = await readiness();
    res.status(state.status === 'unavailable' ? 503 : 200).send(state);
  });

  app.use((_req, res) => {
    plain(res, 404, 'Not Found');
  });

  app.use((error: unknown, req: Request, res: Response, next: NextFunction) => {
    if (res.headersSent) return next(error);
    if (error instanceof Unavailable || error instanceof StoreError) {
      log.debug({ requestId: requestId(req), err: error }, 'refused');
      res.set('Retry-After', String(RETRY_AFTER_S));
      return plain(res, 503, 'Service Unavailable: try again in a moment');
    }
    log.error({ requestId: requestId(req), err: error }, 'request failed');
    plain(res, 500, 'Internal Server Error');
  });

  return app;
}

function plain(res: Response, status: number, text: string): void {
  res.status(status).type('text').set('Cache-Control', 'no-store').send(`${text}\n`);
}
