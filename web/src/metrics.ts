/** What every application tells Prometheus, by OpenTelemetry's names: https://opentelemetry.io/docs/specs/semconv/http/http-metrics */
import { hostname } from 'node:os';
import type { Request, Response } from 'express';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** OpenTelemetry's, in seconds. */
export const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** https://opentelemetry.io/docs/specs/semconv/registry/attributes/http has these and `_OTHER`: a client may send any word. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);

/** A registry of an application's own, with Node's metrics in it. */
export function createRegistry(): Registry {
  const register = new Registry();
  collectDefaultMetrics({ register });
  const host = hostname();
  new Gauge({
    name: 'app_info',
    help: 'Which container this is.',
    labelNames: ['host'],
    registers: [register],
  }).set({ host }, 1);
  return register;
}

/** Counts and times each request, by its route's template. Call when it comes. */
export function requestMeter(registry: Registry): (req: Request, res: Response) => void {
  const histogram = new Histogram({
    name: 'http_server_request_duration_seconds',
    help: 'How long requests took, until the last byte of the answer was handed over or the client had gone.',
    labelNames: ['http_request_method', 'http_route', 'http_response_status_code'],
    buckets: BUCKETS,
    registers: [registry],
  });
  return (req, res) => {
    const started = performance.now();
    res.once('close', () => {
      const method = METHODS.has(req.method) ? req.method : '_OTHER';
      // A client that has gone got no status, whatever Node has in its place: NGINX calls it 499.
      const status = res.headersSent ? res.statusCode : 499;
      histogram.labels(method, route(req), `${status}`).observe((performance.now() - started) / 1000);
    });
  };
}

/** The template, never the path, which a client chooses. Empty for a path that no route matches. */
function route(req: Request): string {
  const path: unknown = req.route?.path;
  return typeof path === 'string' ? path : '';
}

/** What /readyz said last, as a series for each status. */
export function readinessGauge(registry: Registry): (status: string) => void {
  const gauge = new Gauge({
    name: 'app_status',
    help: '1 for the status that /readyz has: ok, degraded or unavailable.',
    labelNames: ['status'],
    registers: [registry],
  });
  return (status) => {
    for (const each of ['ok', 'degraded', 'unavailable'])
      gauge.set({ status: each }, each === status ? 1 : 0);
  };
}
