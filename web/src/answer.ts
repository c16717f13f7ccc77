import { STATUS_CODES } from 'node:http';
import type { IRouter, Request, Response } from 'express';

const TYPES = {
  html: 'text/html; charset=utf-8',
  json: 'application/json; charset=utf-8',
  text: 'text/plain; charset=utf-8',
  // https://prometheus.io/docs/instrumenting/exposition_formats
  metrics: 'text/plain; version=0.0.4; charset=utf-8',
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

/** Answers with a status in words and, after a colon, what a client may know of it. */
export function refuse(res: Response, status: number, advice?: string): void {
  const words = STATUS_CODES[status] ?? 'Error';
  answer(res, status, 'text', advice === undefined ? `${words}\n` : `${words}: ${advice}\n`);
}

type Handler = (req: Request, res: Response) => void | Promise<void>;

/**
 * Adds a route for GET, HEAD and OPTIONS, which refuses any other method with 405.
 * @param head answers HEAD, which Express would hand to `get`
 */
export function addRoute(router: IRouter, path: string, get: Handler, head = get): void {
  const methods = (res: Response) => res.set('Allow', 'GET, HEAD, OPTIONS');
  router
    .route(path)
    .get(get)
    .head(head)
    .options((_req, res) => {
      methods(res).status(204).end();
    })
    .all((_req, res) => refuse(methods(res), 405));
}
