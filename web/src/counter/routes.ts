import { type NextFunction, type Request, type Response, Router } from 'express';
import type { Logger } from 'pino';
import { addRoute, answer, refuse } from '../answer.ts';
import { requestId } from '../app.ts';
import type { Counter } from './counter.ts';
import { resetGuard } from './reset-guard.ts';

export interface RoutesOptions {
  counter: Pick<Counter, 'visit' | 'reset'>;
  log: Logger;
  /** Undefined: clients on a private network may reset. */
  resetToken: Parameters<typeof resetGuard>[0];
}

/** How long NGINX has tried other replicas for this request (ms): part of the wait, not added to it. */
const waitedMs = (req: Request) => Number(req.get('x-request-elapsed') ?? 0) * 1000 || 0;
/** When NGINX got the request, in milliseconds since 1970. */
const sentAt = (req: Request) => Math.round(Number(req.get('x-request-start')) * 1000) || Date.now();

/** A browser that fetches a page ahead shows it to no visitor yet: https://www.w3.org/TR/resource-hints, and its older forms. */
const isPrefetch = (req: Request) =>
  ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'].some((name) =>
    /prefetch|prerender|preview/i.test(req.get(name) ?? ''),
  );
function refusePrefetch(req: Request, res: Response, next: NextFunction): void {
  if (isPrefetch(req)) refuse(res, 403, 'a prefetch counts and resets nothing');
  else next();
}

/** The counter's two routes, as the original has them: `/ResetCounter` and `/resetcounter/` are none. */
export function counterRoutes({ counter, log, resetToken }: RoutesOptions): Router {
  const routes = Router({ caseSensitive: true, strict: true });

  // Express hands HEAD to GET, where it would count and reset.
  const head = (_req: Request, res: Response) => {
    res.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' }).end();
  };

  routes.get(['/', '/resetcounter'], refusePrefetch);
  addRoute(
    routes,
    '/',
    async (req, res) => {
      const number = await counter.visit({ gone: () => res.closed, waitedMs: waitedMs(req) });
      log.debug({ requestId: requestId(req), number }, 'visit');
      answer(res, 200, 'html', `Hello Linode!  This page has been viewed ${number} time(s).`);
    },
    head,
  );

  const refuses = resetGuard(resetToken);
  addRoute(
    routes,
    '/resetcounter',
    async (req, res) => {
      const id = requestId(req);
      const refusal = refuses(req, res);
      if (refusal) {
        log.warn({ requestId: id, client: req.ip, reason: refusal.reason }, 'reset refused');
        return answer(res, refusal.status, 'text', `${refusal.reason}\n`);
      }
      await counter.reset(id, sentAt(req), { waitedMs: waitedMs(req) });
      log.info({ requestId: id, client: req.ip }, 'reset visitor count');
      answer(res, 200, 'html', 'Successfully deleted redis and postgres counters');
    },
    head,
  );
  return routes;
}
