import { beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { raw, Stack } from '../../support/stack.ts';

const { project, port } = inject('stack');
const stack = new Stack(project, port);
const { address } = stack;

const visit = async () => (await fetch(address)).text();
const page = (number: number) => `Hello Linode!  This page has been viewed ${number} time(s).`;

describe('the stack', () => {
  beforeEach(async () => {
    expect(await (await fetch(`${address}/resetcounter`)).text()).toBe(
      'Successfully deleted redis and postgres counters',
    );
  });

  it('greets as the original does, to the byte', async () => {
    const response = await raw(port, 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    const [head = '', body] = response.split('\r\n\r\n');
    expect(body).toBe('Hello Linode!  This page has been viewed 1 time(s).');
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(head).toMatch(/\r\nContent-Type: text\/html; charset=utf-8(\r\n|$)/);
    expect(head).toMatch(/\r\nCache-Control: no-store(\r\n|$)/);
  });

  it('confirms a reset as the original does, to the byte', async () => {
    const response = await raw(
      port,
      'GET /resetcounter HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    );
    expect(response).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(response).toMatch(/\r\nContent-Type: text\/html; charset=utf-8\r\n/);
    expect(response.split('\r\n\r\n')[1]).toBe('Successfully deleted redis and postgres counters');
  });

  it('says 100 after 100 visits, then 1 after a reset', async () => {
    for (let number = 1; number <= 100; number++) expect(await visit()).toBe(page(number));
    await fetch(`${address}/resetcounter`);
    expect(await visit()).toBe(page(1));
  });

  it('gives each number once to 2,000 visits, 64 at a time', async () => {
    const seen: string[] = [];
    let sent = 0;
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        while (sent++ < 2000) seen.push(await visit());
      }),
    );
    const all = Array.from({ length: 2000 }, (_, i) => page(i + 1));
    expect(seen.toSorted()).toEqual(all.toSorted());
  });

  it('shows the count to redis-cli and in the table of the original', async () => {
    for (let number = 1; number <= 5; number++) await visit();
    expect((await stack.compose('exec', '-T', 'redis', 'redis-cli', 'GET', 'visitor_count')).trim()).toBe(
      '5',
    );
    const row = await stack.sql('SELECT site_id, site_name, visitor_count FROM visitors');
    expect(row).toBe('1|linodeexample.com|5');
  });

  it.each([
    ['HEAD', '/', 200],
    ['HEAD', '/resetcounter', 200],
    ['OPTIONS', '/', 204],
    ['OPTIONS', '/resetcounter', 204],
    ['POST', '/', 405],
    ['DELETE', '/resetcounter', 405],
    ['GET', '/favicon.ico', 404],
    ['GET', '/resetcounter/', 404],
    ['GET', '/healthz', 404],
    ['GET', '/readyz', 404],
    ['GET', '/startupz', 404],
    ['GET', '/metrics', 404],
    ['GET', '/status', 404],
  ])('answers %s %j with %i and counts nothing', async (method, path, status) => {
    await visit();
    const response = await fetch(`${address}${path}`, { method });
    expect(response.status).toBe(status);
    if (status === 405) expect(response.headers.get('allow')).toBe('GET, HEAD, OPTIONS');
    if (method === 'HEAD') expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(await response.text()).not.toContain('    at ');
    expect(await visit()).toBe(page(2));
  });

  it('has all three replicas answer', async () => {
    expect(await stack.containers('web')).toHaveLength(3);
    const since = new Date().toISOString();
    for (let i = 0; i < 12; i++) await visit();
    const upstreams = await vi.waitFor(async () => {
      const visits = (await stack.logs('nginx', since)).filter(({ uri }) => uri === '/');
      expect(visits).toHaveLength(12);
      return new Set(visits.map(({ upstream }) => upstream));
    }, 10_000);
    expect(upstreams.size).toBe(3);
  });

  it('keeps its count when everything is taken down and brought up again', async () => {
    for (let number = 1; number <= 7; number++) await visit();
    const before = await stack.containers('postgres');
    await stack.compose('down');
    expect(await stack.containers('postgres')).toEqual([]);
    await stack.up();
    expect(await stack.containers('postgres')).not.toEqual(before);
    expect(await visit()).toBe(page(8));
  });

  it('says 503 and when to try again while there is no replica at all', async () => {
    await stack.compose('stop', 'web');
    const response = await fetch(address);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    await stack.up();
  });

  it('comes up in any order: nginx first, postgres and redis last', async () => {
    await visit();
    await stack.compose('stop');
    await stack.compose('start', 'nginx');
    await stack.compose('start', 'web');
    // NGINX asks Docker's DNS once a second.
    const reached = async () => expect((await fetch(address, { method: 'HEAD' })).status).toBe(200);
    await vi.waitFor(reached, { timeout: 10_000, interval: 100 });
    const waiting = visit();
    await stack.compose('start', 'postgres');
    await stack.compose('start', 'redis');
    // An attempt that NGINX gave up may have counted: a number may be missing, none is given twice.
    expect(Number(/\d+/.exec(await waiting))).toBeGreaterThan(1);
  });
});
