import { dirname, join } from 'node:path';
import express, { type Request, type Response, Router } from 'express';
import type { Logger } from 'pino';
import { Gauge, type Registry } from 'prom-client';
import { answer } from '../../answer.ts';
import type { Application } from '../../app.ts';
import { resetGuard } from '../reset-guard.ts';
import { takeAlerts } from './alerts.ts';
import { watchEdge } from './edge-log.ts';
import { Journal } from './journal.ts';
import { Replicas } from './replicas.ts';
import { event, Stream } from './stream.ts';
import { watchSurroundings } from './surroundings.ts';
import { View } from './view.ts';
import { ask, Watcher } from './watcher.ts';

export interface StatusConfig {
  /** How many replicas there should be. */
  wanted: number;
  /** host or host:port, whose certificates are watched. */
  certificates: string[];
  token: Parameters<typeof resetGuard>[0];
}

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/** What ./stack deploy says of itself (ops/lib.sh). */
const DEPLOYS = {
  begin: ['neutral', 'A deploy began'],
  done: ['good', 'The deploy is done'],
  back: ['bad', 'The deploy went back to what ran before'],
} as const;

/** Watches the stack, and serves the page that shows it. */
export function createStatus(config: StatusConfig, registry: Registry, log: Logger): Application {
  const now = () => Date.now();
  const journal = new Journal(now);
  const replicas = new Replicas(journal, now);
  const view = new View(replicas, journal, config.wanted, now());
  const stream = new Stream();
  const warn = (error: unknown) => log.warn({ err: error }, 'a look around failed');
  const stops = [
    watchEdge('/run/edge-log/access.log', registry, warn),
    watchSurroundings(
      { disks: { data: '/watched/data' }, backups: '/watched/backups', certificates: config.certificates },
      registry,
      warn,
    ),
  ];
  const watcher = new Watcher(replicas, 'web.front.internal', 8000);
  const deploys = tell(registry, config.wanted, replicas, view);

  const push = () => stream.send(event('now', view.snapshot(now())));
  // Together what happens in one turn.
  let isPushed = false;
  journal.changed = () => {
    if (isPushed) return;
    isPushed = true;
    setTimeout(() => {
      isPushed = false;
      push();
    }, 50);
  };
  const edge = async () => {
    // nginx/observe-http.conf
    const isUp = await ask('nginx.front.internal', 8082, '/healthz').then(
      () => true,
      () => false,
    );
    if (isUp !== view.edge.isUp)
      journal.add(isUp ? 'good' : 'bad', isUp ? 'NGINX answers again' : 'NGINX does not answer');
    view.edge = { isUp, saidAt: now() };
  };
  const timer = setInterval(() => {
    view.sample(now());
    push();
    edge();
  }, 1000);

  const routes = Router({ caseSensitive: true, strict: true });
  const refuses = resetGuard(config.token);
  routes.use('/status', (req, res, next) => {
    acceptBasic(req);
    const refusal = refuses(req, res);
    if (!refusal) return next();
    // A browser asks for the token, and sends it with whatever the page loads.
    if (refusal.status === 401) res.set('WWW-Authenticate', 'Basic realm="status", charset="UTF-8"');
    answer(res, refusal.status, 'text', `${refusal.reason}\n`);
  });
  routes.get('/status/events', (_req, res) => {
    stream.open(res, event('history', view.samples) + event('now', view.snapshot(now())));
  });
  // Beside the program: web/bundle/bundle.ts puts it there.
  const files = join(dirname(process.argv[1] ?? ''), 'status');
  const headers = { 'Content-Security-Policy': POLICY, 'Cache-Control': 'no-cache' };
  const page = (file: string) => (_req: Request, res: Response) =>
    res.sendFile(file, { root: files, headers });
  routes.get('/status', page('index.html'));
  routes.get('/status/page.js', page('page.js'));
  routes.get('/status/page.css', page('page.css'));

  // NGINX passes none of these on.
  routes.post('/alerts', express.json({ limit: '256kb' }), (req, res) => {
    view.alerts = takeAlerts(view.alerts, req.body, journal);
    res.status(204).end();
  });
  for (const [end, [kind, text]] of Object.entries(DEPLOYS)) {
    routes.get(`/deploys/${end}`, (_req, res) => {
      deploys.set({ end }, now() / 1000);
      journal.add(kind, text);
      answer(res, 200, 'text', 'noted\n');
    });
  }

  return {
    routes,
    readiness: async () => ({ status: 'ok' }),
    async close() {
      clearInterval(timer);
      for (const stop of stops) stop();
      watcher.close();
      stream.close();
    },
  };
}

/** A browser's way to send a token: as the password of any name. */
function acceptBasic(req: Request): void {
  const basic = /^Basic +(\S+)$/i.exec(req.get('authorization') ?? '')?.[1];
  const password =
    basic &&
    Buffer.from(basic, 'base64')
      .toString()
      .replace(/^[^:]*:/, '');
  if (password) req.headers.authorization = `Bearer ${password}`;
}

/** What alerts ask for that only this process knows. Returns when deploys ended, which their script tells. */
function tell(registry: Registry, wanted: number, replicas: Replicas, view: View): Gauge<'end'> {
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  gauge('stack_replicas_wanted', 'How many replicas of web there should be.', () => wanted);
  gauge(
    'stack_replica_restarts_total',
    'How often a container of web was started again.',
    () => replicas.restarts,
  );
  gauge('stack_edge_up', '1 while NGINX answers.', () => (view.edge.isUp ? 1 : 0));
  const deploys = new Gauge({
    name: 'stack_deploy_timestamp_seconds',
    help: 'When a deploy began, was done, or went back; 0 for never.',
    labelNames: ['end'],
    registers: [registry],
  });
  for (const end of Object.keys(DEPLOYS)) deploys.set({ end }, 0);
  return deploys;
}
