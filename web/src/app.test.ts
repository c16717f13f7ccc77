import express from 'express';
import { pino } from 'pino';
import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { type Application, createApp, type Readiness } from './app.ts';
import { StoreError, Unavailable } from './unavailable.ts';

const JSON_ = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' };
const TEXT = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' };

/** An application with these routes, and a log that can be read. */
function appWith(
  routes: Application['routes'],
  readiness: Application['readiness'] = async () => ({ status: 'ok' }),
) {
  const logged: unknown[] = [];
  const log = pino({ base: null, timestamp: false }, { write: (line) => logged.push(JSON.parse(line)) });
  return { logged, http: request(createApp({ application: { routes, readiness }, log, trustProxyHops: 1 })) };
}

const failing = (error: Error) => appWith(() => Promise.reject(error));
const empty = express.Router();

describe('health', () => {
  const details = { redis: 'up', postgres: 'Postgres: getaddrinfo ENOTFOUND postgres' };
  const states: [Readiness, number][] = [
    [{ status: 'ok', ...details }, 200],
    [{ status: 'degraded', ...details }, 200],
    [{ status: 'unavailable', ...details }, 503],
  ];

  it('is live even when the application is not ready', async () => {
    const { http } = appWith(
      () => Promise.reject(new Unavailable('away')),
      () => Promise.reject(new Error('down')),
    );
    const { status, body, headers } = await http.get('/healthz');
    expect([status, body]).toEqual([200, { status: 'ok' }]);
    expect(headers).toMatchObject(JSON_);
  });

  it.each(states)(
    'is ready unless the application is unavailable, and says why: %j',
    async (state, expected) => {
      const { status, body, headers } = await appWith(empty, async () => state).http.get('/readyz');
      expect([status, body]).toEqual([expected, state]);
      expect(headers).toMatchObject(JSON_);
    },
  );

  it.each(states)('tells a load balancer the status and nothing more: %j', async (state, expected) => {
    const { status, text } = await appWith(empty, async () => state).http.get('/health');
    expect([status, text]).toEqual([expected, JSON.stringify({ status: state.status })]);
  });

  it('has started once it was ready, whatever becomes of it', async () => {
    let state: Readiness = { status: 'unavailable' };
    const { http } = appWith(empty, async () => state);
    const start = async () => {
      const { status, text } = await http.get('/startupz');
      return [status, text];
    };
    expect(await start()).toEqual([503, '{"started":false}']);
    state = { status: 'degraded' };
    expect(await start()).toEqual([200, '{"started":true}']);
    state = { status: 'unavailable' };
    expect(await start()).toEqual([200, '{"started":true}']);
  });

  it('asks the application once, however many ask', async () => {
    let asked = 0;
    const answer = Promise.withResolvers<Readiness>();
    const { http } = appWith(empty, () => {
      asked++;
      return answer.promise;
    });
    const answers = ['/readyz', '/health', '/readyz'].map((path) =>
      http.get(path).then(({ status }) => status),
    );
    await expect.poll(() => asked).toBe(1);
    answer.resolve({ status: 'ok' });
    expect(await Promise.all(answers)).toEqual([200, 200, 200]);
    await http.get('/readyz');
    expect(asked).toBe(2);
  });

  it.each(['/healthz', '/startupz', '/readyz', '/health'])(
    'refuses to POST %s, and says what is allowed',
    async (path) => {
      const { status, text, headers } = await appWith(empty).http.post(path).send({ x: 1 });
      expect([status, text]).toEqual([405, 'Method Not Allowed\n']);
      expect(headers).toMatchObject({ ...TEXT, allow: 'GET, HEAD, OPTIONS' });
    },
  );
});

describe('errors', () => {
  it.each([new Unavailable('secret'), new StoreError('secret')])(
    'asks the client to try again: %s',
    async (error) => {
      const { http, logged } = failing(error);
      const { status, text, headers } = await http.get('/');
      expect([status, text, logged]).toEqual([503, 'Service Unavailable: try again in a moment\n', []]);
      expect(headers).toMatchObject({ ...TEXT, 'retry-after': expect.stringMatching(/^[1-9]\d*$/) });
    },
  );

  it('keeps an unforeseen error for the log, under the name of the request', async () => {
    const { http, logged } = failing(new RangeError('secret'));
    const { status, text, headers } = await http.get('/').set('X-Request-Id', 'r-18');
    expect([status, text]).toEqual([500, 'Internal Server Error\n']);
    expect(headers).toMatchObject(TEXT);
    const err = expect.objectContaining({ message: 'secret', stack: expect.stringContaining('app.test.ts') });
    expect(logged).toEqual([{ level: 50, requestId: 'r-18', err, msg: 'request failed' }]);
  });

  it.each([
    ['{"a":', 'application/json', 400],
    ['x'.repeat(2000), 'application/json', 413],
    ['{}', 'application/json; charset=nonsense', 415],
  ])(
    'answers a body that the client got wrong with the status of a body parser',
    async (body, type, expected) => {
      const { http, logged } = appWith(express.json({ limit: 1000 }));
      const { status, text } = await http.post('/').set('Content-Type', type).send(body);
      expect([status, logged]).toEqual([expected, []]);
      expect(text).not.toMatch(/node_modules|at /);
    },
  );

  it('answers what the application does not know with 404', async () => {
    const { status, text, headers } = await appWith(empty).http.get('/nothing');
    expect([status, text]).toEqual([404, 'Not Found\n']);
    expect(headers).toMatchObject(TEXT);
  });
});

describe('metrics', () => {
  const routes = express
    .Router()
    .get('/notes/:id', (_req, res) => void res.send('a note'))
    .get('/broken', () => Promise.reject(new Unavailable('away')));
  const counts = async (http: ReturnType<typeof appWith>['http']) =>
    (await http.get('/metrics')).text.match(/^http_server_request_duration_seconds_count.*$/gm);

  it('names a request by its template, status and method: whatever a client sends, no label grows without bound', async () => {
    const { http } = appWith(routes);
    for (const path of ['/notes/1', '/notes/2', '/a', '/b/c', '/broken']) await http.get(path);
    await http.propfind('/d');
    const series = (method: string, route: string, status: number, count: number) =>
      `http_server_request_duration_seconds_count{http_request_method="${method}",http_route="${route}",http_response_status_code="${status}"} ${count}`;
    expect(await counts(http)).toEqual([
      series('GET', '/notes/:id', 200, 2),
      series('GET', '', 404, 2),
      series('GET', '/broken', 503, 1),
      series('_OTHER', '', 404, 1),
    ]);
  });

  it('tell of a client that has gone before it had an answer as 499', async () => {
    const { http } = appWith(express.Router().get('/slow', () => new Promise(() => {})));
    await http
      .get('/slow')
      .timeout(50)
      .catch(() => {});
    await expect
      .poll(() => counts(http))
      .toEqual([expect.stringContaining('http_route="/slow",http_response_status_code="499"} 1')]);
  });

  it('are of what visitors ask, and not of health checks and their own scrapes', async () => {
    const { http } = appWith(routes);
    for (const path of ['/healthz', '/readyz', '/health', '/metrics']) await http.get(path);
    expect(await counts(http)).toBeNull();
  });

  it('say what /readyz says', async () => {
    const { http } = appWith(routes, async () => ({ status: 'degraded' }));
    const { text, headers } = await http.get('/metrics');
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(text.match(/^app_status.*$/gm)).toEqual([
      'app_status{status="ok"} 0',
      'app_status{status="degraded"} 1',
      'app_status{status="unavailable"} 0',
    ]);
  });

  it('come although the application never says whether it is ready', async () => {
    const { http } = appWith(routes, () => new Promise(() => {}));
    expect((await http.get('/metrics')).text).toContain('app_status{status="unavailable"} 1');
  });
});
