import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { pino } from 'pino';
import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { createApp } from '../app.ts';
import { StoreError, Unavailable } from '../unavailable.ts';
import type { Arrival } from './pending.ts';
import { counterRoutes, type RoutesOptions } from './routes.ts';

const PAGE = { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' };
const TEXT = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' };
const ALLOW = { allow: 'GET, HEAD, OPTIONS' };

/** The application on a counter that records what it is asked, and a log that can be read. */
function application(counter: Partial<RoutesOptions['counter']> = {}) {
  const calls: string[] = [];
  const logged: unknown[] = [];
  const fake: RoutesOptions['counter'] = {
    async visit(arrival) {
      calls.push('visit');
      return counter.visit?.(arrival) ?? 1;
    },
    async reset(id, sentAt, arrival) {
      calls.push(`reset ${id}`);
      await counter.reset?.(id, sentAt, arrival);
    },
  };
  const log = pino({ base: null, timestamp: false }, { write: (line) => logged.push(JSON.parse(line)) });
  const routes = counterRoutes({ counter: fake, log, resetToken: undefined });
  const readiness = async () => ({ status: 'ok' }) as const;
  const app = createApp({ application: { routes, readiness }, log, trustProxyHops: 1 });
  return { app, calls, logged, http: request(app) };
}

/** A counter that cannot. */
function failing(error: Error): RoutesOptions['counter'] {
  const fail = () => Promise.reject(error);
  return { visit: fail, reset: fail };
}

describe('pages', () => {
  const hello = 'Hello Linode!  This page has been viewed 1 time(s).';
  const deleted = 'Successfully deleted redis and postgres counters';
  it.each([
    ['/', hello, 'visit'],
    ['/?a[b]=1&a=%', hello, 'visit'],
    ['/resetcounter', deleted, 'reset r-17'],
    ['/resetcounter?now', deleted, 'reset r-17'],
  ])('answers GET %s in the very bytes of the original, and once', async (path, body, call) => {
    const { http, calls } = application();
    const { status, text, headers } = await http.get(path).set('X-Request-Id', 'r-17');
    expect([status, text, calls]).toEqual([200, body, [call]]);
    expect(headers).toMatchObject({ ...PAGE, 'content-length': `${body.length}` });
    expect(headers).not.toHaveProperty('etag');
    expect(headers).not.toHaveProperty('x-powered-by');
  });

  it('shows the number that the counter gives', async () => {
    const { text } = await application({ visit: async () => Number.MAX_SAFE_INTEGER }).http.get('/');
    expect(text).toContain('viewed 9007199254740991 time(s)');
  });

  it('logs a reset under the id of its request, with its client', async () => {
    const { http, logged } = application();
    await http.get('/resetcounter').set({ 'X-Request-Id': 'r-17', 'X-Forwarded-For': '10.1.2.3' });
    const line = { level: 30, requestId: 'r-17', client: '10.1.2.3', msg: 'reset visitor count' };
    expect(logged).toEqual([line]);
  });

  it('gives each reset an id of its own when the request has none', async () => {
    const { http, calls } = application();
    for (const _ of [1, 2]) await http.get('/resetcounter');
    const id = expect.stringMatching(/^reset [\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);
    expect(calls).toEqual([id, id]);
    expect(new Set(calls).size).toBe(2);
  });

  it('tells the counter when the visitor has disconnected', async () => {
    const asked = Promise.withResolvers<() => boolean>();
    const answer = Promise.withResolvers<number>();
    const visit = ({ gone = () => false }: Arrival = {}) => {
      asked.resolve(gone);
      return answer.promise;
    };
    await using server = createServer(application({ visit }).app).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const visitor = connect((server.address() as AddressInfo).port, '127.0.0.1');
    visitor.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const gone = await asked.promise;
    const before = gone();
    visitor.destroy();
    await expect.poll(gone, { interval: 1 }).toBe(true);
    expect(before).toBe(false);
    answer.resolve(1);
  });
});

describe('methods', () => {
  it.each(['/', '/resetcounter'])('counts and resets nothing on HEAD and OPTIONS %s', async (path) => {
    const { http, calls } = application();
    const [head, options] = [await http.head(path), await http.options(path)];
    expect([head.status, head.text, options.status, options.text]).toEqual([200, undefined, 204, '']);
    expect([head.headers, options.headers]).toMatchObject([PAGE, ALLOW]);
    expect(calls).toEqual([]);
  });

  const others = ['post', 'put', 'delete', 'patch'] as const;
  const paths = ['/', '/resetcounter'];
  it.each(paths.flatMap((path) => others.map((method) => ({ method, path }))))(
    'refuses $method $path, and says what is allowed',
    async ({ method, path }) => {
      const { http, calls } = application();
      const { status, text, headers } = await http[method](path).send({ x: 1 });
      expect([status, text, calls]).toEqual([405, 'Method Not Allowed\n', []]);
      expect(headers).toMatchObject({ ...TEXT, ...ALLOW });
    },
  );
});

describe('errors', () => {
  // No route has a parameter, so Express decodes no path: a malformed one is merely unknown.
  it.each(['/nothing', '/ResetCounter', '/resetcounter/', '/HEALTHZ', '//', '/%'])(
    'does not know %s, and says no more than that',
    async (path) => {
      const { http, calls } = application();
      const { status, text, headers } = await http.get(path);
      expect([status, text, calls]).toEqual([404, 'Not Found\n', []]);
      expect(headers).toMatchObject(TEXT);
    },
  );

  it.each([
    ['/', new Unavailable('secret')],
    ['/resetcounter', new Unavailable('secret')],
    ['/', new StoreError('secret')],
  ])('asks the client of %s to try again on %s, and logs no reset', async (path, error) => {
    const { http, logged } = application(failing(error));
    const { status, text, headers } = await http.get(path);
    expect([status, text, logged]).toEqual([503, 'Service Unavailable: try again in a moment\n', []]);
    expect(headers).toMatchObject({ ...TEXT, 'retry-after': expect.stringMatching(/^[1-9]\d*$/) });
  });
});

describe('behind NGINX', () => {
  it.each([
    ['1.234', 1234],
    ['0.000', 0],
    [undefined, 0],
    ['nonsense', 0],
  ])('takes an elapsed time of %s s off the wait', async (elapsed, expected) => {
    const waited: (number | undefined)[] = [];
    const { http } = application({
      visit: async (arrival) => waited.push(arrival?.waitedMs),
      reset: async (_id, _sentAt, arrival) => void waited.push(arrival?.waitedMs),
    });
    for (const path of ['/', '/resetcounter']) {
      await http.get(path).set(elapsed === undefined ? {} : { 'X-Request-Elapsed': elapsed });
    }
    expect(waited).toEqual([expected, expected]);
  });

  it('tells the counter when a reset came to NGINX', async () => {
    const sent: (number | undefined)[] = [];
    const { http } = application({ reset: async (_id, sentAt) => void sent.push(sentAt) });
    await http.get('/resetcounter').set('X-Request-Start', '1795646350.414');
    const before = Date.now();
    for (const start of ['', 'nonsense']) await http.get('/resetcounter').set('X-Request-Start', start);
    expect(sent[0]).toBe(1_795_646_350_414);
    for (const now of sent.slice(1)) expect(now).toBeGreaterThanOrEqual(before);
    expect(sent).toHaveLength(3);
  });

  it.each([
    ['Sec-Purpose', 'prefetch'],
    ['Sec-Purpose', 'prefetch;prerender'],
    ['Purpose', 'prefetch'],
    ['X-Purpose', 'preview'],
    ['X-Moz', 'prefetch'],
  ])('a browser that fetches ahead counts and resets nothing: %s: %s', async (name, value) => {
    const { http, calls } = application();
    for (const path of ['/', '/resetcounter']) {
      expect((await http.get(path).set(name, value)).status).toBe(403);
    }
    expect(calls).toEqual([]);
  });
});
