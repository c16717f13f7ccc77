import { randomUUID } from 'node:crypto';
import express, {
  type Express,
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import { addRoute, answer, refuse } from './answer.ts';
import type { Config } from './config.ts';
import { readinessGauge, requestMeter } from './metrics.ts';
import { Unavailable } from './unavailable.ts';

/** What an application is given: its configuration, with its own part, and where to log. */
export interface Given<OwnConfig> {
  config: Config & OwnConfig;
  log: Logger;
  /** What /metrics tells: the application adds its own. */
  registry: Registry;
  /** Aborts when the shutdown begins: a response without end (server-sent events) ends then. */
  stopping: AbortSignal;
}

/** What the stack asks of an application. */
export interface Application {
  /** Its routes, mounted at `/`. */
  routes: RequestHandler;
  /** Can it do its work? Asked by /readyz, /health, /startupz and `./stack up`, and never twice at a time. */
  readiness: () => Promise<Readiness>;
  /** Closes its connections, after the last request. */
  close: () => Promise<void>;
}

/** What /readyz answers: a status, and beside it what an operator wants to know. */
export interface Readiness {
  /** `degraded`: it works, and not as it should. `unavailable`: 503. */
  status: 'ok' | 'degraded' | 'unavailable';
  [detail: string]: string;
}

export interface AppOptions {
  application: Pick<Application, 'routes' | 'readiness'>;
  log: Logger;
  /** How many proxies stand in front: what X-Forwarded-For says is believed of these. */
  trustProxyHops: number;
  registry?: Registry;
}

/** What a 503 tells a client to wait, in seconds: about what a restart of Postgres takes. */
const RETRY_AFTER_S = 2;

/** How long an application may take to say whether it is ready (ms). Prometheus waits for 4 s. */
const READINESS_MS = 3000;

/** NGINX names each request: the same name in both logs joins them. */
export const requestId = (req: Request) => req.get('x-request-id') || randomUUID();

/** For Readiness: 'up' if a store answered, and otherwise what went wrong. */
export async function state(answer: Promise<unknown>): Promise<string> {
  return answer.then(
    () => 'up',
    (error: Error) => error.message,
  );
}

/** Builds what every application has: health, its routes, and errors to HTTP. It never listens. */
export function createApp({
  application,
  log,
  trustProxyHops,
  registry = new Registry(),
}: AppOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  // NGINX says whom it asks for. Its own address does not matter: Docker may give it one outside the private ranges.
  app.set('trust proxy', trustProxyHops);

  const tellStatus = readinessGauge(registry);
  // However many ask at a time, the application is asked once.
  let probing: Promise<Readiness> | undefined;
  const readiness = () => {
    probing ??= within(READINESS_MS, application.readiness()).finally(() => {
      probing = undefined;
    });
    return probing;
  };
  const health = express.Router({ caseSensitive: true, strict: true });
  // Live: the event loop turns.
  addRoute(health, '/healthz', (_req, res) => answer(res, 200, 'json', JSON.stringify({ status: 'ok' })));
  // Ready: it can do its work.
  addRoute(health, '/readyz', async (_req, res) => {
    const state = await readiness();
    answer(res, state.status === 'unavailable' ? 503 : 200, 'json', JSON.stringify(state));
  });
  // Ready once: what waits for a new replica asks this, and does not take it away again for a store that is gone.
  let started = false;
  addRoute(health, '/startupz', async (_req, res) => {
    started ||= (await readiness()).status !== 'unavailable';
    answer(res, started ? 200 : 503, 'json', JSON.stringify({ started }));
  });
  // /readyz for a load balancer in front of NGINX, without what concerns only operators.
  addRoute(health, '/health', async (_req, res) => {
    const { status } = await readiness();
    answer(res, status === 'unavailable' ? 503 : 200, 'json', JSON.stringify({ status }));
  });

  // For Prometheus, which finds here what /readyz says too.
  addRoute(health, '/metrics', async (_req, res) => {
    tellStatus((await readiness()).status);
    answer(res, 200, 'metrics', await registry.metrics());
  });
  const measure = requestMeter(registry);

  // Before the application, which may take every path. One look at the URL, or each request would be matched with three routes.
  app.use((req, res, next) => {
    if (/^\/(healthz|startupz|readyz|health|metrics)\b/.test(req.url)) health(req, res, next);
    else {
      measure(req, res);
      next();
    }
  });
  app.use(application.routes);
  app.use((_req, res) => refuse(res, 404));

  app.use((error: unknown, req: Request, res: Response, next: NextFunction) => {
    if (res.headersSent) return next(error);
    if (error instanceof Unavailable) {
      log.debug({ requestId: requestId(req), err: error }, 'refused');
      return refuse(res.set('Retry-After', String(RETRY_AFTER_S)), 503, 'try again in a moment');
    }
    const fault = clientFault(error);
    if (fault !== undefined) return refuse(res, fault);
    log.error({ requestId: requestId(req), err: error }, 'request failed');
    refuse(res, 500);
  });
  return app;
}

/** What the answer is, or an application that says nothing: unavailable. */
async function within(ms: number, answer: Promise<Readiness>): Promise<Readiness> {
  const { promise, resolve } = Promise.withResolvers<Readiness>();
  const timer = setTimeout(() => resolve({ status: 'unavailable', cause: `no answer within ${ms} ms` }), ms);
  return Promise.race([answer, promise]).finally(() => clearTimeout(timer));
}

/** The status of an error that is the client's fault, as Express and its body parsers mark it. */
function clientFault(error: unknown): number | undefined {
  const status: unknown = error instanceof Error && 'status' in error ? error.status : undefined;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined;
}
