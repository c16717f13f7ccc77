import { randomUUID } from 'node:crypto';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { Logger } from 'pino';
import { type Counter, StoreError, Unavailable } from './counter.ts';
import { resetGuard } from './reset-guard.ts';

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
  resetToken: Parameters<typeof resetGuard>[0];
  /** How many proxies stand in front: what X-Forwarded-For says is believed of these. */
  trustProxyHops: number;
}

/** What a 503 tells a client to wait, in seconds: about what a restart of Postgres takes. */
const RETRY_AFTER_S = 2;

/** Builds the application: the routes, and errors to HTTP. It never listens. */
export function createApp({ counter, readiness, log, resetToken, trustProxyHops }: AppOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  // As the original: /resetcounter is a route, /ResetCounter and /resetcounter/ are not.
  app.enable('case sensitive routing');
  app.enable('strict routing');
  // No route reads a query.
  app.set('query parser', false);
  // NGINX says whom it asks for. Its own address does not matter: Docker may give it one outside the private ranges.
  app.set('trust proxy', trustProxyHops);

  /** NGINX names each request; the same name in both logs joins them. */
  const requestId = (req: Request) => req.get('x-request-id') || randomUUID();
  /** How long NGINX has tried other replicas for this request (ms): part of the wait, not added to it. */
  const waitedMs = (req: Request) => Number(req.get('x-request-elapsed') ?? 0) * 1000 || 0;
  /** When NGINX got the request, in milliseconds since 1970. */
  const sentAt = (req: Request) => Math.round(Number(req.get('x-request-start')) * 1000) || Date.now();

  /** A browser that fetches ahead has nobody who looks: https://www.w3.org/TR/resource-hints, and its older forms. */
  const isPrefetch = (req: Request) =>
    ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'].some((name) =>
      /prefetch|prerender|preview/i.test(req.get(name) ?? ''),
    );
  const refusePrefetch = (req: Request, res: Response, next: NextFunction) => {
    if (!isPrefetch(req)) return next();
    answer(res, 403, 'text', 'Forbidden: a prefetch counts and resets nothing\n');
  };

  type Handler = (req: Request, res: Response) => void | Promise<void>;
  const methods = (res: Response) => res.set('Allow', 'GET, HEAD, OPTIONS');
  const route = (path: string, get: Handler, head = get) =>
    app
      .route(path)
      .get(get)
      .head(head)
      .options((_req, res) => {
        methods(res).status(204).end();
      })
      .all((_req, res) => {
        answer(methods(res), 405, 'text', 'Method Not Allowed\n');
      });

  // Express hands HEAD to GET, where it would count and reset.
  const page: Handler = (_req, res) => {
    res.writeHead(200, { 'Content-Type': TYPES.html, 'Cache-Control': 'no-store' }).end();
  };

  app.get(['/', '/resetcounter'], refusePrefetch);
  route(
    '/',
    async (req, res) => {
      const number = await counter.visit(() => res.closed, waitedMs(req));
      log.debug({ requestId: requestId(req), number }, 'visit');
      answer(res, 200, 'html', `Hello Linode!  This page has been viewed ${number} time(s).`);
    },
    page,
  );

  const refuses = resetGuard(resetToken);
  route(
    '/resetcounter',
    async (req, res) => {
      const id = requestId(req);
      const refusal = refuses(req, res);
      if (refusal) {
        log.warn({ requestId: id, client: req.ip, reason: refusal.reason }, 'reset refused');
        return answer(res, refusal.status, 'text', `${refusal.reason}\n`);
      }
      await counter.reset(id, sentAt(req), waitedMs(req));
      log.info({ requestId: id, client: req.ip }, 'reset visitor count');
      answer(res, 200, 'html', 'Successfully deleted redis and postgres counters');
    },
    page,
  );

  // Live: the event loop turns.
  route('/healthz', (_req, res) => answer(res, 200, 'json', JSON.stringify({ status: 'ok' })));

  // Ready: it can count.
  route('/readyz', async (_req, res) => {
    const state = await readiness();
    answer(res, state.status === 'unavailable' ? 503 : 200, 'json', JSON.stringify(state));
  });

  // The same for a load balancer in front of NGINX, without what concerns nobody outside.
  route('/health', async (_req, res) => {
    const { status } = await readiness();
    answer(res, status === 'unavailable' ? 503 : 200, 'json', JSON.stringify({ status }));
  });

  app.use((_req, res) => {
    answer(res, 404, 'text', 'Not Found\n');
  });

  app.use((error: unknown, req: Request, res: Response, next: NextFunction) => {
    if (res.headersSent) return next(error);
    if (error instanceof Unavailable || error instanceof StoreError) {
      log.debug({ requestId: requestId(req), err: error }, 'refused');
      res.set('Retry-After', String(RETRY_AFTER_S));
      return answer(res, 503, 'text', 'Service Unavailable: try again in a moment\n');
    }
    log.error({ requestId: requestId(req), err: error }, 'request failed');
    answer(res, 500, 'text', 'Internal Server Error\n');
  });

  return app;
}

const TYPES = {
  html: 'text/html; charset=utf-8',
  json: 'application/json; charset=utf-8',
  text: 'text/plain; charset=utf-8',
};

/**
 * Writes the whole answer, which no cache may keep. Not with res.send(): it works out the type at each answer, a tenth of a
 * visit's time, and answers 304 to `If-None-Match: *`, so that the visitor never sees the number that was counted for it.
 */
export function answer(res: Response, status: number, type: keyof typeof TYPES, body: string): void {
  const headers = {
    'Content-Type': TYPES[type],
    'Cache-Control': 'no-store',
    'Content-Length': Buffer.byteLength(body),
  };
  res.writeHead(status, headers).end(body);
}
