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
import { get, header, target } from './bytes.ts';
import { TABLE } from './hostile-requests.ts';
import { visit } from './visit.ts';

const { port } = stack;

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
