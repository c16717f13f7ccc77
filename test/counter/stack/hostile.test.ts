/**
 * Hostile and malformed requests, sent as bytes through NGINX: what each gets, and how many visits it counts. None may
 * get a 5xx or leave its sender waiting, none may count a visit that is none, and the stack serves on.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { until } from '../../support/faults.ts';
import { container, processes, stack } from '../../support/services.ts';
import { docker, inspect, raw } from '../../support/stack.ts';
import { visit } from './visit.ts';

const { port } = stack;

/** A request for `/` as it should be, but for what is named. */
function get({
  target = '/',
  method = 'GET',
  version = 'HTTP/1.1',
  host = 'Host: a\r\n',
  headers = '',
  body = '',
}) {
  return `${method} ${target} ${version}\r\n${host}${headers}Connection: close\r\n\r\n${body}`;
}
const header = (headers: string, body = '') => get({ headers: `${headers}\r\n`, body });
const target = (path: string) => get({ target: path });
const chunked = (body: string) => header('Transfer-Encoding: chunked', body);
const post = (headers: string, body: string, path = '/') =>
  get({ method: 'POST', target: path, headers: `${headers}\r\n`, body });
const LOCAL = 'Host: localhost\r\n';
const SMUGGLED = 'GET /resetcounter HTTP/1.1\r\nHost: a\r\n\r\n';

/** What it is, its bytes, the status of each answer, how many visits it counts. */
type Row = [what: string, request: string, status: number | number[], counts: number];

const TABLE: Record<string, Row[]> = {
  'request lines': [
    ['HTTP/1.0 without a host', 'GET / HTTP/1.0\r\n\r\n', 200, 1],
    ['HTTP/0.9', 'GET /\r\n', [], 0],
    ['HTTP/0.9 for a reset', 'GET /resetcounter\r\n', [], 0],
    ['HTTP/2.0 in plain text', get({ version: 'HTTP/2.0' }), 400, 0],
    ['HTTP/9.9', get({ version: 'HTTP/9.9' }), 400, 0],
    ['no version that is one', get({ version: 'HTTPS/1.1' }), 400, 0],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 0],
    ['a method in lower case', get({ method: 'get' }), 400, 0],
    ['a method of 5 kB', get({ method: 'A'.repeat(5000) }), 400, 0],
    ['a method of 9 kB', get({ method: 'A'.repeat(9000) }), 414, 0],
    ['a method nobody knows', get({ method: 'BREW' }), 400, 0],
    ['TRACE', get({ method: 'TRACE' }), 405, 0],
    ['CONNECT', get({ method: 'CONNECT', target: 'a:443' }), 405, 0],
    ['OPTIONS *', get({ method: 'OPTIONS', target: '*' }), 400, 0],
    ['PUT', get({ method: 'PUT' }), 405, 0],
    ['PUT with a body', get({ method: 'PUT', headers: 'Content-Length: 2\r\n', body: 'hi' }), 413, 0],
    ['tabs in place of spaces', 'GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n', 400, 0],
    ['an empty line before', `\r\n${get({})}`, 200, 1],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 0],
    ['SSH', 'SSH-2.0-client\r\n\r\n', 400, 0],
    ['SMTP', 'EHLO a\r\n\r\n', 400, 0],
    ['the protocol of Redis', '*1\r\n$4\r\nPING\r\n\r\n', 400, 0],
    ['the PROXY protocol', `PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n${get({})}`, 400, 0],
    ['bytes that are no text', '\xff\xfe\xfd\r\n\r\n', 400, 0],
  ],
  targets: [
    ['a path of 5 kB', target(`/${'a'.repeat(5000)}`), 404, 0],
    ['a path of 9 kB', target(`/${'a'.repeat(9000)}`), 414, 0],
    ['a path outside', target('/../../etc/passwd'), 400, 0],
    ['a path outside, escaped', target('/%2e%2e/%2e%2e/etc/passwd'), 400, 0],
    ['a path through another to /', target('/x/..'), 404, 0],
    ['an escape that is none', target('/%zz'), 400, 0],
    ['an escaped null byte', target('/%00'), 400, 0],
    ['a null byte', target('/\0'), 400, 0],
    ['an escaped line break', target('/%0d%0aSet-Cookie:%20a=b'), 404, 0],
    ['bytes that are not UTF-8', target('/%c0%af'), 404, 0],
    ['a space', target('/ x'), 400, 0],
    ['a backslash', target('/\\resetcounter'), 404, 0],
    ['no slash', target('resetcounter'), 400, 0],
    ['/resetcounter in capitals', target('/RESETCOUNTER'), 404, 0],
    ['/resetcounter escaped', target('/%72esetcounter'), 404, 0],
    ['/resetcounter through another path', target('/x/../resetcounter'), 404, 0],
    ['/resetcounter after two slashes', target('//resetcounter'), 404, 0],
    ['a fragment', target('/#/resetcounter'), 400, 0],
    ['/readyz between a host and a fragment', target('//u@h/readyz#'), 400, 0],
    ['/resetcounter between a host and a fragment', target('//u@h/resetcounter#'), 400, 0],
    ['a host that is none, and a fragment', target('//a@[/#'), 400, 0],
    ['/healthz', target('/healthz'), 404, 0],
    ['/healthz escaped', target('/%68ealthz'), 404, 0],
    ['/healthz in capitals', target('/HEALTHZ'), 404, 0],
    ['/readyz through another path', target('/x/../readyz'), 404, 0],
    ['/readyz with a slash and a query', target('/readyz/?x'), 404, 0],
    ['the page that bad requests get', target('/bad-request'), 404, 0],
    ['files that are often left lying about', target('/.env'), 404, 0],
    ['a query of 2 kB', target(`/?${'a[]=1&'.repeat(340)}`), 200, 1],
    ['a query after prototypes', target('/?__proto__[x]=1&constructor[prototype][x]=1'), 200, 1],
    ['an absolute URI of another site', target('http://example.com/'), 200, 1],
    ['an absolute URI of a replica', target('http://web:8000/healthz'), 404, 0],
    ['an absolute URI with a password', target('http://u:p@a/'), 400, 0],
  ],
  hosts: [
    ['none', get({ host: '' }), 400, 0],
    ['two', get({ host: 'Host: a\r\nHost: b\r\n' }), 400, 0],
    ['an empty one', get({ host: 'Host: \r\n' }), 400, 0],
    ['a path', get({ host: 'Host: ../..\r\n' }), 400, 0],
    ['a user', get({ host: 'Host: u@a\r\n' }), 400, 0],
    ['another site', get({ host: 'Host: example.com\r\n' }), 200, 1],
  ],
  headers: [
    ['a name with a space', header('X Y: a'), 400, 0],
    ['a space before the colon', header('Content-Length : 5', 'hello'), 400, 0],
    ['a value on two lines', header('X: a\r\n b'), 400, 0],
    ['a null byte', header('X: a\0b'), 400, 0],
    ['a carriage return alone', header('X: a\rY: b'), 400, 0],
    ['70 of them', header(Array(70).fill('X: a').join('\r\n')), 400, 0],
    ['a cookie of 5 kB', header(`Cookie: ${'a'.repeat(5000)}`), 200, 1],
    ['one of 9 kB', header(`X: ${'a'.repeat(9000)}`), 400, 0],
    [
      '24 kB in all',
      header(
        Array(3)
          .fill(`X: ${'a'.repeat(8000)}`)
          .join('\r\n'),
      ),
      200,
      1,
    ],
    [
      '40 kB in all',
      header(
        Array(5)
          .fill(`X: ${'a'.repeat(8000)}`)
          .join('\r\n'),
      ),
      400,
      0,
    ],
    ['bytes that are no text', header('User-Agent: \x01\x02'), 400, 0],
    ['quotation marks for the log', header('User-Agent: ","status":200},{"a":"\\'), 200, 1],
    ['a lookup for the log', header('User-Agent: $'.concat('{jndi:ldap://localhost/a}')), 200, 1],
    ['a name for the request', header('X-Request-Id: mine'), 200, 1],
    ['another method', header('X-HTTP-Method-Override: DELETE'), 200, 1],
    ['another path', header('X-Original-URL: /resetcounter\r\nX-Rewrite-URL: /resetcounter'), 200, 1],
    ['fetched ahead', header('Sec-Purpose: prefetch'), 403, 0],
    ['any entity will do', header('If-None-Match: *'), 200, 1],
    ['an entity that is not there', header('If-Match: "a"'), 200, 1],
    ['500 ranges', header(`Range: bytes=${'0-1,'.repeat(500)}0-1`), 200, 1],
    ['an upgrade to HTTP/2', header('Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__'), 200, 1],
    ['an upgrade to a WebSocket', header('Upgrade: websocket\r\nSec-WebSocket-Version: 13'), 200, 1],
    ['an expectation nobody meets', header('Expect: the-unexpected'), 200, 1],
  ],
  bodies: [
    ['one that a GET should not have', header('Content-Length: 5', 'hello'), 413, 0],
    ['one after permission', header('Expect: 100-continue\r\nContent-Length: 5', 'hello'), 413, 0],
    ['of 2 kB', post('Content-Length: 2048', 'a'.repeat(2048)), 413, 0],
    ['of 1 GB, promised', post('Content-Length: 1000000000', ''), 413, 0],
    ['of 2 kB, in a chunk', chunked(`800\r\n${'a'.repeat(2048)}\r\n0\r\n\r\n`), 413, 0],
    ['with a length below 0', header('Content-Length: -1'), 400, 0],
    ['with a length in hexadecimal', header('Content-Length: 0x5', 'hello'), 400, 0],
    ['with a length with a sign', header('Content-Length: +5', 'hello'), 400, 0],
    ['with a length beyond 2^64', header('Content-Length: 99999999999999999999'), 400, 0],
    ['with a chunk whose length is none', chunked('zz\r\nhello\r\n0\r\n\r\n'), 413, 0],
    ['with a chunk beyond 2^64', chunked('ffffffffffffffffff\r\nhello\r\n0\r\n\r\n'), 413, 0],
    ['with chunks on bare line feeds', chunked('5\nhello\n0\n\n'), 413, 0],
    ['with a header after it', chunked('5\r\nhello\r\n0\r\nX-Forwarded-For: 8.8.8.8\r\n\r\n'), 413, 0],
  ],
  // If NGINX and web could disagree where a request ends, its rest would be taken for one of the next visitor's.
  'smuggled requests': [
    ['two lengths that agree', post('Content-Length: 5\r\nContent-Length: 5', 'hello'), 400, 0],
    ['two lengths that differ', post('Content-Length: 5\r\nContent-Length: 0', 'hello'), 400, 0],
    ['two lengths in a list', post('Content-Length: 5, 5', 'hello'), 400, 0],
    [
      'a length and chunks',
      post('Content-Length: 45\r\nTransfer-Encoding: chunked', `0\r\n\r\n${SMUGGLED}`),
      400,
      0,
    ],
    ['chunks twice', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), 400, 0],
    ['chunks, misspelt', post('Transfer-Encoding: xchunked', `0\r\n\r\n${SMUGGLED}`), 400, 0],
    ['chunks, and another encoding', post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n'), 400, 0],
    ['chunks after a tab', post('Transfer-Encoding:\tchunked', '0\r\n\r\n'), 400, 0],
    ['chunks before a colon', post('Transfer-Encoding : chunked', `0\r\n\r\n${SMUGGLED}`), 400, 0],
    ['no encoding at all', post('Transfer-Encoding: identity', SMUGGLED), 400, 0],
    [
      'chunks in HTTP/1.0',
      `POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
      400,
      0,
    ],
    ['a request as a body', header(`Content-Length: ${SMUGGLED.length}`, SMUGGLED), 413, 0],
    ['a request after the last', post('Content-Length: 0', SMUGGLED), 405, 0],
    ['two requests at once', `${get({}).replace('Connection: close\r\n', '')}${get({})}`, [200, 200], 2],
    ['a good request after a bad one', `${get({ version: 'HTTP/9.9' })}${get({})}`, 400, 0],
    ['a good one after another path', `GET /x HTTP/1.1\r\nHost: a\r\n\r\n${get({})}`, [404, 200], 1],
  ],
  resets: [
    ["by a name, which may be a foreign site's", get({ target: '/resetcounter' }), 403, 0],
    [
      'fetched ahead',
      get({ target: '/resetcounter', host: LOCAL, headers: 'Sec-Purpose: prefetch\r\n' }),
      403,
      0,
    ],
    [
      'through a proxy that nobody named',
      get({ target: '/resetcounter', host: LOCAL, headers: 'X-Forwarded-For: 127.0.0.1\r\n' }),
      403,
      0,
    ],
    [
      "under another host of the client's own",
      get({ target: '/resetcounter', headers: 'X-Forwarded-Host: localhost\r\n' }),
      403,
      0,
    ],
    ['by a form', post('Content-Length: 3', 'a=b', '/resetcounter'), 413, 0],
    ['by HEAD', get({ method: 'HEAD', target: '/resetcounter' }), 200, 0],
    [
      'by a page of another site',
      get({ target: '/resetcounter', host: LOCAL, headers: 'Sec-Fetch-Site: cross-site\r\n' }),
      403,
      0,
    ],
  ],
};

const number = (text: string) => Number(/viewed (\d+) time/.exec(text)?.[1]);

describe.each(Object.entries(TABLE))('%s', (_group, rows) => {
  it.each(rows)('%s', async (_what, request, status, counts) => {
    const before = await visit();
    const response = await raw(port, request);
    const answers = [...response.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, code]) => Number(code));
    expect(answers.filter((code) => code !== 100)).toEqual([status].flat());
    expect(await visit()).toBe(before + counts + 1);

    expect(response).not.toMatch(/ {4}at |nginx\/|express/i);
    // HTTP/0.9 has no headers.
    if (answers.length === 0) return;
    for (const name of ['Content-Security-Policy', 'X-Content-Type-Options: nosniff', 'Referrer-Policy']) {
      expect(response).toContain(`\r\n${name}`);
    }
  });
});

describe('slow clients', () => {
  const open = () => connect(Number(port), 'localhost').on('error', () => {});

  it.concurrent.each([
    ['that say nothing', '', '', 15_000],
    ['that send a byte of a header now and then', 'GET / HTTP/1.1\r\nX: ', 'a', 15_000],
    [
      'that promise a body and do not send it',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n',
      '',
      10_000,
    ],
    ['that have had an answer and say nothing more', 'GET /x HTTP/1.1\r\nHost: a\r\n\r\n', '', 40_000],
  ])('are cut off: those %s', { timeout: 45_000 }, async (_which, first, again, limit) => {
    const socket = open();
    socket.write(first);
    const trickle = setInterval(() => socket.write(again), 1000);
    try {
      // An end or a reset from the other side; nothing here closes it.
      await expect(
        once(socket.resume(), 'close', { signal: AbortSignal.timeout(limit) }),
      ).resolves.toBeDefined();
    } finally {
      clearInterval(trickle);
      socket.destroy();
    }
  });
});

describe('a crowd', () => {
  const REQUEST = 'GET /x HTTP/1.1\r\nHost: a\r\n';
  const LONG = `X: ${'a'.repeat(8000)}\r\n`;
  /** Below nginx.conf's worker_connections: for the last sixteenth NGINX closes connections that have not sent anything yet. */
  const CEILING = 7500;

  /** So many clients, each of which has sent this and keeps its connection. */
  async function crowd(size: number, request: string) {
    // Not through the published port, behind which Docker's proxy has limits of its own.
    const host = await stack.on('edge', 'nginx');
    const sockets: Socket[] = [];
    let answered = 0;
    while (sockets.length < size) {
      const some = Array.from({ length: Math.min(250, size - sockets.length) }, () => {
        const socket = connect(8080, host).on('error', () => {});
        socket.once('data', () => answered++).resume();
        socket.write(request);
        return socket;
      });
      sockets.push(...some);
      await Promise.all(some.map((socket) => once(socket, 'connect')));
    }
    return {
      answered: () => answered,
      closed: () => sockets.filter(({ closed }) => closed).length,
      write: (bytes: string) => {
        for (const socket of sockets) socket.write(bytes);
      },
      [Symbol.dispose]: () => {
        for (const socket of sockets) socket.destroy();
      },
    };
  }
  const worker = async () =>
    (await processes(await container('nginx'))).find(({ command }) => command.includes('worker'))?.pid;

  it.each([
    [4000, 'idle clients that were answered', `${REQUEST}\r\n`],
    [CEILING, 'clients with half a header', REQUEST],
    [CEILING, 'clients with 30 kB of an unfinished header', REQUEST + LONG.repeat(3) + LONG.slice(0, 6000)],
  ])('keeps nobody else waiting: %i %s', async (size, which, request) => {
    const before = await worker();
    using clients = await crowd(size, request);
    if (which.startsWith('idle')) await until(() => clients.answered() === size);
    const number = await visit();
    for (let i = 1; i <= 20; i++) expect(await visit()).toBe(number + i);
    // A header that is not finished within 5 s ends its connection.
    if (which.startsWith('idle')) expect(clients.closed()).toBe(0);
    if (which.endsWith('half a header')) expect(clients.closed()).toBeLessThan(size / 4);
    // Not killed for its memory, with all that it was about to answer.
    expect(await worker()).toBe(before);
  });

  it('that sends bodies byte by byte is refused at once: 5,000 clients', async () => {
    const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 64\r\n\r\n';
    using clients = await crowd(5000, post);
    await until(() => clients.answered() === 5000);
    const number = await visit();
    for (let i = 1; i <= 5; i++) {
      clients.write('a');
      expect(await visit()).toBe(number + i);
    }
    await until(() => clients.closed() === 5000);
  });

  it.each([
    ['a body', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 64\r\n\r\n'],
    ['a header', 'GET / HTTP/1.1\r\nX: '],
  ])('of one that sends %s byte by byte does not keep NGINX from stopping', async (_what, request) => {
    using client = await crowd(1, request);
    const trickle = setInterval(() => client.write('a'), 500);
    try {
      const nginx = await container('nginx');
      const started = performance.now();
      await docker('stop', nginx);
      // worker_shutdown_timeout is 8 s, and what Docker waits before it kills 15 s.
      expect(performance.now() - started).toBeLessThan(12_000);
      expect(await inspect(nginx, '{{.State.ExitCode}}')).toBe('0');
    } finally {
      clearInterval(trickle);
      await stack.compose('start', 'nginx');
      await until(async () => Number.isInteger(await visit()));
    }
  });

  it('that sends its requests and closes its half of the connection is taken for gone', async () => {
    const before = await visit();
    const half = Array.from({ length: 100 }, async () => {
      const socket = connect(Number(port), 'localhost').on('error', () => {});
      socket.end(get({}));
      let answer = '';
      socket.setEncoding('latin1').on('data', (text: string) => {
        answer += text;
      });
      await once(socket, 'close');
      return answer;
    });
    // Some were counted before NGINX noticed. Whoever sees a number sees its own.
    const numbers = (await Promise.all(half)).map(number).filter(Number.isInteger);
    expect(new Set(numbers).size).toBe(numbers.length);
    const counted = (await visit()) - before - 1;
    expect(counted).toBeGreaterThanOrEqual(numbers.length);
    expect(counted).toBeLessThanOrEqual(100);
  });
});

describe('the log', () => {
  const lines = async (since: string) =>
    (await stack.compose('logs', '--no-log-prefix', '--since', since, 'nginx')).split('\n').filter(Boolean);

  const withAgent = (path: string, agent: string) =>
    get({ target: path, headers: `User-Agent: ${agent}\r\n` });
  it.each([
    ['a user agent of control characters', '/c0', withAgent('/c0', '\x01'.repeat(4000))],
    ['a user agent of C1 controls', '/c1', withAgent('/c1', '\xc2\x9b'.repeat(3000))],
    ['a user agent that turns the direction of text', '/bidi', withAgent('/bidi', 'a\xe2\x80\xaeb')],
    ['quotation marks all over', '/q\\"', withAgent(`/q${'"'.repeat(7000)}`, '"'.repeat(7000))],
    ['a long target', '/long', target(`/long${'a'.repeat(8000)}`)],
    ['a target that is no text', '/raw...', target(`/raw${'\xff\x9b'.repeat(3000)}`)],
    ['a long method', '"bytes":', get({ method: 'A'.repeat(8000) })],
  ])('has a short line of printable characters for %s', async (_what, mark, request) => {
    const since = new Date().toISOString();
    await raw(port, request);
    // Clients of the tests before may leave lines as well.
    await until(async () => (await lines(since)).some((line) => line.includes(mark)));
    for (const line of await lines(since)) {
      expect(line).toMatch(/^[ -~]+$/);
      expect(line.length).toBeLessThan(4096);
      expect(JSON.parse(line)).toMatchObject({ client: expect.any(String) });
    }
  });
});

it('what clients send cannot break the log, nor name a request', async () => {
  const since = new Date().toISOString();
  const agent = '"},{"status":200,"a":"\\';
  await raw(port, header(`User-Agent: ${agent}\r\nX-Request-Id: mine`));
  const lines = await stack.logs('nginx', since);
  expect(lines).toContainEqual(
    expect.objectContaining({ user_agent: agent, request_id: expect.stringMatching(/^[0-9a-f]{32}$/) }),
  );
});
