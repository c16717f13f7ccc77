/** HTTPS with a certificate of one's own, and what NGINX makes of handshakes and requests, well-meant and hostile. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../support/faults.ts';
import { OwnSite, pair } from '../../support/own-site.ts';
import { raw, type Stack } from '../../support/stack.ts';
import { connected, handshake, NAME, Visitor } from '../../support/tls-client.ts';
import { get, TABLE } from '../stack/hostile-requests.ts';

const run = promisify(execFile);

let site: OwnSite;
let stack: Stack;
let port: string;
let certificate: string;

const serial = async () => (await handshake(port)).certificate?.serialNumber;

beforeAll(async () => {
  const own = await pair(NAME);
  certificate = own.cert;
  site = await OwnSite.start('https-own', own);
  ({ stack, port } = site);
});
afterAll(() => site[Symbol.asyncDispose]());

/** What `./stack up` says. */
const up = () =>
  stack.up().then(
    () => '',
    ({ stderr }) => String(stderr),
  );

describe('a certificate of your own', () => {
  it('is served, whoever owns its key on this machine', async () => {
    const { distrust } = await handshake(port, { ca: certificate });
    expect(distrust).toBeUndefined();
  });

  it.each<[string, () => Promise<{ cert: string; key: string }>, RegExp]>([
    [
      'has no pair in its key',
      async () => ({ ...(await pair(NAME)), key: (await pair(NAME)).key }),
      /are no pair/,
    ],
    ['has expired', () => pair(NAME, new Date(Date.now() - 86_400_000)), /has expired on /],
    ['is for others', () => pair('elsewhere.test'), /is not for site\.test, but for DNS:elsewhere\.test/],
    ['is none', async () => ({ ...(await pair(NAME)), cert: 'x' }), /holds no certificate/],
    ['has a key that is none', async () => ({ ...(await pair(NAME)), key: 'x' }), /holds no key/],
  ])('that %s is refused in one line before anything is replaced', async (_what, make, says) => {
    const before = await serial();
    await site.write(await make());
    const lines = (await up()).split('\n').filter((line) => line.startsWith('certificate: '));
    expect(lines).toEqual([expect.stringMatching(says)]);
    expect(lines[0]).toContain(site.directory);
    expect(await serial()).toBe(before);
  });

  it('that is replaced is in use a moment later, and NGINX stays', async () => {
    const nginx = await stack.containers('nginx');
    const before = await serial();
    const next = await pair(NAME);
    certificate = next.cert;
    await site.write(next);
    expect(await up()).toBe('');
    await until(async () => (await serial()) !== before);
    expect(await stack.containers('nginx')).toEqual(nginx);
  });
});

describe('a handshake', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('of %s is answered', async (version) => {
    const { protocol } = await handshake(port, { minVersion: version, maxVersion: version });
    expect(protocol).toBe(version);
  });

  it.each(['TLSv1', 'TLSv1.1'] as const)('of %s is refused', async (version) => {
    const old = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    await expect(connected(port, old)).rejects.toThrow(/alert|version/i);
  });

  it.each([
    ['HTTP/2, if the client has it', ['h2', 'http/1.1'], 'h2'],
    ['HTTP/1.1, if that is all', ['http/1.1'], 'http/1.1'],
    ['HTTP/1.1 without a word', undefined, false],
  ])('chooses %s', async (_what, protocols, chosen) => {
    const socket = await connected(port, protocols ? { ALPNProtocols: protocols } : {});
    expect(socket.alpnProtocol).toBe(chosen);
    socket.destroy();
  });

  it('for a protocol that NGINX does not speak is refused', async () => {
    await expect(connected(port, { ALPNProtocols: ['smtp'] })).rejects.toThrow(/no application protocol/i);
  });

  it.each([['unknown.test'], [''], ['a'.repeat(250)], ['localhost']])(
    'that asks for %j gets the one certificate of the site',
    async (servername) => {
      const { certificate: got } = await handshake(port, { servername });
      expect(got?.subjectAltName).toBe(`DNS:${NAME}`);
    },
  );

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('of %s is shortened for one who comes back', async (version) => {
    const options = { minVersion: version, maxVersion: version } as const;
    const { session } = await handshake(port, options);
    const again = await handshake(port, { ...options, ...(session ? { session } : {}) });
    expect(again.reused).toBe(true);
  });

  it('is not begun again within a connection', async () => {
    const socket = await connected(port, { maxVersion: 'TLSv1.2' });
    const renegotiated = Promise.withResolvers<unknown>();
    socket.on('error', renegotiated.resolve).on('close', renegotiated.resolve);
    socket.renegotiate({}, renegotiated.resolve);
    expect(await renegotiated.promise).toBeInstanceOf(Error);
    socket.destroy();
  });

  it('takes no early data, which could be sent again: openssl offers none', async () => {
    const session = join(site.directory, 'session.pem');
    const data = join(site.directory, 'early');
    await writeFile(data, get({}));
    const client = ['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_3', '-ign_eof'];
    const openssl = async (...options: string[]) => {
      const child = run('openssl', [...client, ...options]);
      child.child.stdin?.end(get({}));
      return (await child).stdout;
    };
    await openssl('-sess_out', session);
    const seen = await openssl('-sess_in', session, '-early_data', data);
    expect(seen).toContain('Reused, TLSv1.3');
    expect(seen).not.toContain('Early data was accepted');
    expect((await run('openssl', ['sess_id', '-in', session, '-text', '-noout'])).stdout).not.toMatch(
      /Max Early Data: [1-9]/,
    );
  });

  it.each([
    ['silent', Buffer.alloc(0)],
    ['of a byte a second', Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
  ])('that is %s is cut off', { timeout: 45_000 }, async (_what, bytes) => {
    const socket = connect(Number(port), '127.0.0.1').on('error', () => {});
    let sent = 0;
    const trickle = setInterval(() => socket.write(bytes.subarray(sent, ++sent)), 1000);
    try {
      const closed = once(socket.resume(), 'close', { signal: AbortSignal.timeout(15_000) });
      await expect(closed).resolves.toBeDefined();
    } finally {
      clearInterval(trickle);
      socket.destroy();
    }
  });
});

describe('a request', () => {
  let visitor: Visitor;
  beforeAll(() => {
    visitor = new Visitor(port, certificate);
  });
  afterAll(() => visitor[Symbol.dispose]());

  const plain = (path: string, options: RequestInit = {}) =>
    fetch(stack.address + path, { redirect: 'manual', ...options });

  it.each(['GET', 'POST'])(
    'without TLS, %s, is sent on to the same path with the same method',
    async (method) => {
      const { status, headers } = await plain('/a?b=c', { method });
      expect([status, headers.get('location')]).toEqual([308, `https://localhost:${port}/a?b=c`]);
      expect(headers.get('strict-transport-security')).toBeNull();
    },
  );

  it('for the health of the application is answered on both ports', async () => {
    expect((await plain('/health')).status).toBe(200);
    expect((await visitor.get('/health')).status).toBe(200);
  });

  it('for a challenge that is none is not sent on', async () => {
    expect((await plain('/.well-known/acme-challenge/none')).status).toBe(404);
    expect((await plain('/.well-known/acme-challenge/../../site.pem')).status).toBe(308);
    expect(
      await raw(stack.port, get({ target: '/.well-known/acme-challenge/%2e%2e/%2e%2e/%2e%2e/site.pem' })),
    ).toMatch(/^HTTP\/1\.1 (308|400|404) /);
  });

  it('over HTTP/2 is a visit, and its own port is part of the host', async () => {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { servername: NAME, ca: certificate });
    try {
      const stream = session.request({ ':path': '/', ':authority': `${NAME}:${port}` });
      const [headers] = await once(stream, 'response');
      let text = '';
      for await (const piece of stream.setEncoding('utf8')) text += piece;
      expect([headers[':status'], text]).toEqual([200, expect.stringMatching(/viewed \d+ time/)]);
    } finally {
      session.close();
    }
  });

  it('for a reset is let in by the address of its client, as without TLS, and logged with it', async () => {
    const since = new Date().toISOString();
    const local = { Host: `localhost:${port}` };
    const reset = await visitor.get('/resetcounter', { headers: local });
    expect(reset.status).toBe(200);
    const forged = { ...local, 'X-Forwarded-For': '8.8.8.8', 'X-Forwarded-Proto': 'http' };
    expect((await visitor.get('/resetcounter', { headers: forged })).status).toBe(403);
    const foreign = { ...local, 'Sec-Fetch-Site': 'cross-site' };
    expect((await visitor.get('/resetcounter', { headers: foreign })).status).toBe(403);
    expect((await visitor.get('/resetcounter')).text).toContain('Forbidden');
    await until(async () => (await stack.logs('nginx', since)).length >= 4);
    const [line] = await stack.logs('nginx', since);
    expect(line).toMatchObject({
      client: await stack.on('edge', 'nginx', 'Gateway'),
      uri: '/resetcounter',
      status: 200,
    });
  });
});

/** As raw(), over TLS. */
async function rawTls(request: string): Promise<string> {
  const socket = await connected(port);
  let response = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    response += text;
  });
  const ended = once(socket, 'close');
  socket.write(request, 'latin1');
  await ended;
  return response;
}

const number = (text: string) => Number(/viewed (\d+) time/.exec(text)?.[1]);

describe.each(Object.entries(TABLE))('hostile %s over TLS', (_group, rows) => {
  it('get what they get without, and count as they count', async () => {
    for (const [what, request, status, counts] of rows) {
      const before = number(await rawTls(get({})));
      const response = await rawTls(request);
      const answers = [...response.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, code]) => Number(code));
      expect([what, answers.filter((code) => code !== 100)]).toEqual([what, [status].flat()]);
      expect([what, number(await rawTls(get({})))]).toEqual([what, before + counts + 1]);
    }
  });
});
