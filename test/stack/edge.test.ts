/** nginx.conf before an application that is not the counter: what it passes, what it repeats, what it adds. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cp, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { until } from '../support/faults.ts';
import { docker, inspect, raw } from '../support/stack.ts';
import { CHECKOUT, freePort, LABEL } from '../support/this-checkout.ts';

const NAME = `edge-${CHECKOUT}`;
const REPLICAS = [1, 2, 3].map((n) => `${NAME}-web-${n}`);
const SHARED = `${NAME}-shared`;
// /ready is answered by the replica that is asked first, or not at all.
const LOCATIONS = `
location = /ready { proxy_pass http://web; error_page 502 504 = @unavailable; }
location = /short { proxy_pass http://web; proxy_read_timeout 1s; }
location = /own-headers { proxy_pass http://web; include proxy-headers.conf; proxy_set_header X-Own own; }
`;

let port: string;
let address: string;

/** What the application knows of a request. */
interface Seen {
  replica: string;
  headers: Record<string, string>;
  bytes: number;
  sha256: string;
}

async function startNginx(...env: string[]): Promise<void> {
  await docker('rm', '--force', `${NAME}-nginx`);
  port = String(await freePort());
  address = `http://localhost:${port}`;
  await docker(
    ...['run', '--detach', '--name', `${NAME}-nginx`, '--label', LABEL, '--network', `${NAME}-edge`],
    ...['--publish', `127.0.0.1:${port}:8080`, '--read-only', '--tmpfs', '/tmp:size=64m,mode=1777'],
    ...env.flatMap((setting) => ['--env', setting]),
    `${NAME}-nginx`,
  );
  await docker('network', 'connect', `${NAME}-front`, `${NAME}-nginx`);
  await ready();
}
/** Until NGINX knows all replicas, and none that is gone: up to a second after Docker does. */
async function ready(): Promise<void> {
  await until(async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => fetch(`${address}/ready`)));
    if (!answers.every(({ ok }) => ok)) return false;
    const texts = await Promise.all(answers.map((answer) => answer.text()));
    return new Set(texts.map((text) => seen(text).replica)).size === REPLICAS.length;
  });
}

/** How often the application carried a request out. */
async function executions(id: string | null): Promise<number> {
  expect(id).toMatch(/^[0-9a-f]{32}$/);
  const logs = await Promise.all(REPLICAS.map((replica) => docker('logs', replica)));
  return logs.flatMap(({ stdout }) => stdout.split('\n')).filter((line) => line.startsWith(`${id} `)).length;
}
const send = async (method: string, path: string, body: Buffer<ArrayBuffer> | null = null, headers = {}) => {
  const response = await fetch(address + path, { method, body, headers });
  return { response, id: response.headers.get('x-request-id'), text: await response.text() };
};
const seen = (text: string): Seen => JSON.parse(text);

beforeAll(async () => {
  // What a run that was cut off has left.
  await remove();
  await using context = await mkdtempDisposable(join(tmpdir(), 'edge-'));
  await cp('nginx', context.path, { recursive: true });
  await writeFile(join(context.path, 'locations.conf'), LOCATIONS);
  const base = ['--build-arg', `NGINX_IMAGE=${process.env.NGINX_IMAGE}`];
  await docker('build', ...base, '--tag', `${NAME}-nginx`, context.path);
  await docker('network', 'create', '--internal', `${NAME}-front`);
  await docker('network', 'create', `${NAME}-edge`);
  for (const replica of REPLICAS) {
    await docker(
      ...['run', '--detach', '--name', replica, '--label', LABEL, '--init', '--network', `${NAME}-front`],
      ...['--network-alias', 'web.front.internal', '--volume', `${SHARED}:/shared`],
      ...['--volume', `${resolve('test/stack/edge-app.ts')}:/app.ts:ro`],
      ...[process.env.NODE_IMAGE ?? '', 'node', '/app.ts'],
    );
  }
  await startNginx();
});
afterAll(remove);

async function remove(): Promise<void> {
  await docker('rm', '--force', '--volumes', `${NAME}-nginx`, ...REPLICAS);
  await docker('volume', 'rm', '--force', SHARED);
  await docker('network', 'rm', '--force', `${NAME}-front`, `${NAME}-edge`);
  await docker('image', 'rm', '--force', `${NAME}-nginx`);
}

/** All replicas are up at the start of each. */
beforeEach(async () => {
  await docker('start', ...REPLICAS);
  await ready();
});

const UNSAFE = ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'PURGE'];
const SAFE = ['GET', 'HEAD', 'OPTIONS'];

describe('a request', () => {
  it.each(UNSAFE)(
    '%s whose replica dies in the middle is carried out once, and the client is told',
    async (method) => {
      for (const body of [null, Buffer.from('body')]) {
        const { response, id, text } = await send(method, '/?die=50', body);
        expect([response.status, text]).toEqual([
          502,
          'Bad Gateway: the request may have been carried out\n',
        ]);
        expect(await executions(id)).toBe(1);
        await docker('start', ...REPLICAS);
        await ready();
      }
    },
  );

  it.each(SAFE)('%s whose replica dies in the middle is answered by another', async (method) => {
    const { response, id } = await send(method, '/?die=50');
    expect(response.status).toBe(200);
    // Docker may take in a last line after its container has ended.
    await vi.waitFor(async () => expect(await executions(id)).toBe(2), 10_000);
  });

  it.each(SAFE)('%s that meets its dying replica a second time is answered by another', async (method) => {
    const upstreams = async (id: string | null) =>
      new RegExp(`"${id}".*"upstream":"(.*?)"`).exec((await docker('logs', `${NAME}-nginx`)).stdout)?.[1];
    let met = false;
    while (!met) {
      const { response, id } = await send(method, '/?hang-up');
      expect(response.status).toBe(200);
      await until(async () => (await upstreams(id)) !== undefined);
      met = /^(\S+) : \1 :/.test(`${await upstreams(id)}`);
    }
  });

  it.each([...UNSAFE, ...SAFE])(
    '%s that takes longer than the time-out of its location is carried out once',
    async (method) => {
      const { response, id } = await send(method, '/short?wait=2000');
      expect(response.status).toBe(504);
      expect(await executions(id)).toBe(1);
    },
  );

  it.each(['GET', 'POST', 'DELETE'])('%s of 3 s is answered, and carried out once', async (method) => {
    const { response, id } = await send(method, '/?wait=3000');
    expect(response.status).toBe(200);
    expect(await executions(id)).toBe(1);
  });

  it.each(['POST', 'PUT', 'DELETE', 'PURGE', 'GET'])(
    '%s goes to a replica that is there, if others are gone',
    async (method) => {
      const [first = '', second = ''] = REPLICAS;
      // Without a word to Docker's DNS at first: NGINX asks it once a second.
      await docker('kill', first, second);
      for (let n = 0; n < 20; n++) {
        const { response, id } = await send(method, '/', method === 'GET' ? null : Buffer.from('body'));
        expect(response.status).toBe(200);
        expect(await executions(id)).toBe(1);
      }
    },
  );

  it.each(['GET', 'POST'])('%s is refused for the moment while no replica is there', async (method) => {
    await docker('kill', ...REPLICAS);
    const { response, text } = await send(method, '/');
    expect([response.status, text]).toEqual([503, 'Service Unavailable: try again in a moment\n']);
    expect(response.headers.get('retry-after')).toBe('2');
  });

  it('GET of which every replica dies takes two of them with it at most', async () => {
    const { response, id } = await send('GET', '/?die-each=100');
    expect(response.status).toBe(502);
    // One alone, if NGINX learns of the first death while it chooses the next (nginx/nginx#1656).
    expect([1, 2]).toContain(await executions(id));
    const running = await Promise.all(REPLICAS.map((replica) => inspect(replica, '{{.State.Running}}')));
    expect(running).toContain('true');
  });

  it('for /health is answered by another replica while one is paused', async () => {
    await docker('pause', REPLICAS[0] ?? '');
    try {
      for (let n = 0; n < 6; n++) expect((await send('GET', '/health')).response.status).toBe(200);
    } finally {
      await docker('unpause', REPLICAS[0] ?? '');
    }
  });

  it.each([500, 502, 503, 504])(
    'that the application answers with %i is not repeated, nor its answer replaced',
    async (status) => {
      const { response, id, text } = await send('GET', `/?status=${status}`);
      expect(response.status).toBe(status);
      expect(seen(text).headers['x-request-id']).toBe(id);
      expect(await executions(id)).toBe(1);
    },
  );

  it('under load, with a replica killed, is never carried out twice if it is a POST', async () => {
    let stopped = false;
    const ids: (string | null)[] = [];
    const outcomes: number[] = [];
    const clients = Array.from({ length: 16 }, async () => {
      while (!stopped) {
        const { response, id } = await send('POST', '/?wait=5', Buffer.from('body'));
        ids.push(id);
        outcomes.push(response.status);
      }
    });
    await until(() => ids.length > 200);
    await docker('kill', REPLICAS[0] ?? '');
    const before = ids.length;
    await until(() => ids.length > before + 200);
    stopped = true;
    await Promise.all(clients);
    const lines = (await Promise.all(REPLICAS.map((replica) => docker('logs', replica)))).flatMap(
      ({ stdout }) => stdout.split('\n'),
    );
    const times = new Map<string, number>();
    for (const line of lines) {
      const [id = ''] = line.split(' ');
      times.set(id, (times.get(id) ?? 0) + 1);
    }
    expect(ids.filter((id) => (times.get(`${id}`) ?? 0) > 1)).toEqual([]);
    // Those that were under way on the replica that died, and no others.
    expect(outcomes.filter((status) => status !== 200).length).toBeLessThanOrEqual(16);
  });
});

describe('bodies', () => {
  it.each([0, 200, 100_000, 1_048_576])('of %i bytes reach the application whole', async (length) => {
    const body = randomBytes(length);
    const { response, text } = await send('POST', '/', body);
    expect(response.status).toBe(200);
    expect([seen(text).bytes, seen(text).sha256]).toEqual([
      length,
      createHash('sha256').update(body).digest('hex'),
    ]);
  });

  it('above 1 MB are refused, and passed with MAX_BODY_SIZE', async () => {
    const body = randomBytes(2_000_000);
    expect((await send('POST', '/', body)).response.status).toBe(413);
    await startNginx('MAX_BODY_SIZE=2m');
    const { response, text } = await send('PUT', '/', body);
    expect([response.status, seen(text).bytes]).toEqual([200, body.length]);
    await startNginx();
  });

  it('that no longer fit into /tmp are refused for the moment', async () => {
    await startNginx('MAX_BODY_SIZE=100m');
    const { response, text } = await send('POST', '/', Buffer.alloc(70_000_000));
    expect([response.status, text]).toEqual([503, 'Service Unavailable: try again in a moment\n']);
    await startNginx();
  });

  it.each([
    ...['20x', 'm', '5mm', '-1', '1.5m', '1m; include /etc/passwd'].map((value) => ['MAX_BODY_SIZE', value]),
    ...['5s', '-1', '1.5', '0', '1000000'].map((value) => ['POSTGRES_WAIT_MS', value]),
  ])('stop nginx if %s is %s, with the remedy', async (name, value) => {
    const setting = `${name}=${value}`;
    const run = docker('run', '--rm', '--read-only', '--tmpfs=/tmp', '--env', setting, `${NAME}-nginx`);
    await expect(run).rejects.toMatchObject({
      stdout: expect.stringMatching(
        new RegExp(`^${name} is '${value}': give a number of (milli|byte).*, such as`),
      ),
    });
  });

  it('of which the replica dies in the middle of an upload arrive once at most', async () => {
    const { response, id } = await send('POST', '/?die=0', randomBytes(1_000_000));
    expect(response.status).toBe(502);
    expect(await executions(id)).toBe(1);
  });
});

it('an answer with 7 kB of headers passes', async () => {
  const { response } = await send('GET', `/?header-x-long=${'x'.repeat(7000)}`);
  expect(response.headers.get('x-long')).toHaveLength(7000);
});

it.each([
  ['header', '/', { 'X-Long': 'x'.repeat(5000) }],
  ['cookie', '/', { Cookie: `session=${'x'.repeat(5000)}` }],
  ['query', `/?long=${'x'.repeat(5000)}`, {}],
])('a %s of 5 kB passes', async (_what, path, headers) => {
  expect((await send('GET', path, null, headers)).response.status).toBe(200);
});

describe('streams', () => {
  it('of events are live, without a word of the application about buffers', async () => {
    const { body } = await fetch(`${address}/events`);
    if (!body) throw new Error('no body');
    const times: number[] = [];
    for await (const piece of body) {
      for (const _ of Buffer.from(piece).toString().matchAll(/data/g)) times.push(performance.now());
      if (times.length >= 30) break;
    }
    // One every 100 ms: those of a buffer of 4 kB would come 300 at a time.
    expect(new Set(times.map((time) => Math.round(time / 50))).size).toBeGreaterThan(20);
  });

  it('of a WebSocket go both ways', async () => {
    const socket = connect(Number(port), 'localhost').setEncoding('utf8');
    let heard = '';
    socket.on('data', (text: string) => {
      heard += text;
    });
    socket.write(
      `GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
    await until(() => heard.includes('\r\n\r\n'));
    expect(heard).toMatch(/^HTTP\/1\.1 101 /);
    for (const word of ['one', 'two']) {
      socket.write(word);
      await until(() => heard.endsWith(word));
    }
    socket.destroy();
  });

  it('of any other protocol are not opened', async () => {
    const upgrade = 'Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk';
    expect(await raw(port, `GET / HTTP/1.1\r\nHost: localhost\r\n${upgrade}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 200 /,
    );
  });

  it('do not keep nginx from stopping within its grace', async () => {
    const events = await fetch(`${address}/events`);
    const socket = connect(Number(port), 'localhost');
    socket.write(
      `GET /socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
    await once(socket, 'data');
    socket.on('error', () => {});
    const since = performance.now();
    await docker('stop', '--time', '15', `${NAME}-nginx`);
    expect(await inspect(`${NAME}-nginx`, '{{.State.ExitCode}}')).toBe('0');
    expect(performance.now() - since).toBeLessThan(15_000);
    await events.body?.cancel().catch(() => {});
    socket.destroy();
    await startNginx();
  });
});

describe('what a client says of itself', () => {
  const LIES = {
    'X-Forwarded-For': '10.0.0.1',
    'X-Forwarded-Host': 'evil.example',
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Port': '443',
    'X-Forwarded-Prefix': '/evil',
    'X-Forwarded-Server': 'evil',
    'X-Forwarded-Scheme': 'https',
    'X-Forwarded-Ssl': 'on',
    Forwarded: 'for=10.0.0.1;host=evil.example',
    'X-Real-IP': '10.0.0.1',
    'X-Client-IP': '10.0.0.1',
    'True-Client-IP': '10.0.0.1',
    'X-Original-URL': '/admin',
    'X-Rewrite-URL': '/admin',
    Proxy: 'http://evil.example',
    'X-Request-Id': 'evil',
    'X-Request-Start': '0',
    'X-Request-Elapsed': '0',
  };

  it.each(['/', '/own-headers'])('does not reach the application at %s', async (path) => {
    const { text, id } = await send('GET', path, null, LIES);
    const { headers } = seen(text);
    expect(JSON.stringify(headers)).not.toMatch(/evil|10\.0\.0\.1|\/admin/);
    const kept = Object.keys(LIES).filter((name) => name.toLowerCase() in headers);
    expect(kept.toSorted()).toEqual([
      'X-Forwarded-For',
      'X-Forwarded-Host',
      'X-Forwarded-Proto',
      'X-Real-IP',
      'X-Request-Elapsed',
      'X-Request-Id',
      'X-Request-Start',
    ]);
    expect(headers).toMatchObject({
      host: `localhost:${port}`,
      'x-forwarded-host': `localhost:${port}`,
      'x-forwarded-proto': 'http',
      'x-request-id': id,
    });
    if (path === '/own-headers') expect(headers['x-own']).toBe('own');
  });

  it('names the host as the client asked for it, with its port or without', async () => {
    for (const host of ['example.com', 'example.com:8443', '[::1]:81']) {
      const { headers } = seen(
        /\r\n\r\n[\s\S]*?(\{.*\})/.exec(
          await raw(port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
        )?.[1] ?? '',
      );
      expect([headers.host, headers['x-forwarded-host']]).toEqual([host, host]);
    }
  });

  it('is believed of its scheme if it is a proxy that is named', async () => {
    const gateway = await inspect(
      `${NAME}-nginx`,
      `{{(index .NetworkSettings.Networks "${NAME}-edge").Gateway}}`,
    );
    await startNginx(`TRUSTED_PROXIES=${gateway}`);
    const { text } = await send('GET', '/', null, {
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-For': '203.0.113.7',
    });
    expect(seen(text).headers).toMatchObject({
      'x-forwarded-proto': 'https',
      'x-forwarded-for': '203.0.113.7',
    });
    await startNginx();
  });
});

describe('security headers', () => {
  const DEFAULTS = {
    'content-security-policy': "object-src 'none'; base-uri 'self'; frame-ancestors 'self'",
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'strict-origin-when-cross-origin',
  };
  it('have defaults where the application says nothing, and in answers of NGINX', async () => {
    for (const path of ['/', '/healthz']) {
      expect(Object.fromEntries((await send('GET', path)).response.headers)).toMatchObject(DEFAULTS);
    }
  });

  it.each(Object.keys(DEFAULTS))("%s is the application's, once, where it says something", async (name) => {
    const { response } = await send('GET', `/?header-${name}=own`);
    expect(Object.fromEntries(response.headers)).toMatchObject({ ...DEFAULTS, [name]: 'own' });
  });

  it("X-Request-Id is NGINX's, once", async () => {
    const { id } = await send('GET', '/?header-x-request-id=own');
    expect(id).toMatch(/^[0-9a-f]{32}$/);
  });
});

it.each(['locations.conf of the counter', 'no location at all'])(
  'NGINX takes its configuration with the %s',
  async (which) => {
    const locations = which.startsWith('no')
      ? ['--volume', '/dev/null:/etc/nginx/locations.conf:ro']
      : ['--volume', `${resolve('nginx/locations.conf')}:/etc/nginx/locations.conf:ro`];
    const tested = docker('exec', `${NAME}-nginx`, 'nginx', '-t');
    expect((await tested).stderr).toContain('test is successful');
    const { stderr } = await docker(
      ...[
        'run',
        '--rm',
        '--read-only',
        '--tmpfs',
        '/tmp',
        '--network',
        `${NAME}-front`,
        ...locations,
        '--entrypoint',
        'sh',
        `${NAME}-nginx`,
        '-c',
      ],
      // As entrypoint.sh ends, but for the test.
      "sed 's/^exec nginx.*/nginx -t/' /entrypoint.sh > /tmp/test.sh && sh /tmp/test.sh",
    );
    expect(stderr).toContain('test is successful');
  },
);
