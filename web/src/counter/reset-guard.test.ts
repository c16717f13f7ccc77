import { pino } from 'pino';
import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { createApp } from '../app.ts';
import { isPrivate } from './reset-guard.ts';
import { counterRoutes } from './routes.ts';

/** A request for a reset, as it reaches the application from an NGINX on this machine, and how often it did reset. */
async function reset(
  token: string | undefined,
  client: string,
  headers: Record<string, string> = {},
  trustProxyHops = 1,
) {
  let resets = 0;
  const log = pino({ level: 'silent' });
  const counter = { visit: async () => 1, reset: async () => void resets++ };
  const application = {
    routes: counterRoutes({ counter, log, resetToken: token }),
    readiness: async () => ({ status: 'ok' }) as const,
  };
  const app = createApp({ application, log, trustProxyHops });
  const response = await request(app)
    .get('/resetcounter')
    .set({ Host: 'localhost', 'X-Forwarded-For': client, ...headers });
  expect(resets).toBe(response.status === 200 ? 1 : 0);
  return response;
}

describe('an address', () => {
  it.each([
    ...['127.0.0.1', '127.255.255.255', '::1', '10.0.0.0', '10.255.255.255', '172.16.0.1', '172.31.255.255'],
    ...['192.168.0.1', '192.168.255.255', '169.254.1.1', 'fe80::1', 'fc00::1', 'fdff::1', '::ffff:10.1.2.3'],
  ])('is private: %s', (address) => {
    expect(isPrivate(address)).toBe(true);
  });

  it.each([
    ...[
      '8.8.8.8',
      '9.255.255.255',
      '11.0.0.0',
      '172.15.255.255',
      '172.32.0.0',
      '192.167.255.255',
      '192.169.0.0',
    ],
    ...['100.64.0.1', '203.0.113.7', '0.0.0.0', '2001:db8::1', '::', 'fec0::1', '::ffff:8.8.8.8'],
    ...['', 'localhost', '10.0.0.1, 8.8.8.8', '10.0.0.1:80', '010.0.0.1', '10.1', '[::1]', 'unknown'],
  ])('is not private: %j', (address) => {
    expect(isPrivate(address)).toBe(false);
  });
});

it('believes nobody about the client where no proxy is expected', async () => {
  const headers = { 'X-Forwarded-For': '203.0.113.9' };
  expect((await reset(undefined, '', headers, 0)).status).toBe(200);
});

describe('without a token', () => {
  it.each(['127.0.0.1', '10.1.2.3', '172.18.0.1', '192.168.1.7', 'fd00::5'])(
    '%s may reset',
    async (client) => {
      expect((await reset(undefined, client)).status).toBe(200);
    },
  );

  it.each(['203.0.113.9', '8.8.8.8', '2001:db8::1'])('%s may not, and is told why', async (client) => {
    const { status, text, headers } = await reset(undefined, client);
    expect([status, text]).toEqual([403, 'Forbidden: only private networks may reset\n']);
    expect(headers).toMatchObject({ 'cache-control': 'no-store' });
  });

  it('what a client adds to X-Forwarded-For does not make it private', async () => {
    // NGINX overwrites the header; a proxy that appends puts the truth last.
    expect((await reset(undefined, '10.0.0.1, 203.0.113.9')).status).toBe(403);
  });

  it('a token changes nothing', async () => {
    expect((await reset(undefined, '203.0.113.9', { Authorization: 'Bearer undefined' })).status).toBe(403);
  });

  it.each([
    ['cross-site', 403],
    ['same-site', 403],
    ['same-origin', 200],
    ['none', 200],
  ])('a browser whose request is %s gets %i', async (site, status) => {
    expect((await reset(undefined, '127.0.0.1', { 'Sec-Fetch-Site': site })).status).toBe(status);
  });
});

describe('without a token, by a name', () => {
  it.each(['localhost', 'localhost:8080', '127.0.0.1', '192.168.1.7:80', '[::1]:80', '[fd00::5]'])(
    'as %s, it may be reset',
    async (host) => {
      expect((await reset(undefined, '127.0.0.1', { Host: host })).status).toBe(200);
    },
  );

  it.each(['evil.example', 'localhost.evil.example', 'a', '127.0.0.1.nip.io', 'x@localhost.', '[::1'])(
    "as %s, it may not: the name may be a foreign site's that leads here",
    async (host) => {
      const lies = { Host: host, 'X-Forwarded-Host': 'localhost' };
      const { status, text } = await reset(undefined, '127.0.0.1', lies);
      expect([status, text]).toEqual([403, expect.stringContaining('RESET_TOKEN')]);
    },
  );

  it('a client that a proxy hides may not, and is told the setting', async () => {
    const { status, text } = await reset(undefined, 'unknown');
    expect([status, text]).toEqual([403, expect.stringContaining('TRUSTED_PROXIES')]);
  });
});

describe('with a token', () => {
  const token = 'aGVsbG8_d29ybGQ=';

  it.each(['127.0.0.1', '203.0.113.9'])('%s may reset with it', async (client) => {
    expect((await reset(token, client, { Authorization: `Bearer ${token}` })).status).toBe(200);
    expect((await reset(token, client, { Authorization: `bearer  ${token}` })).status).toBe(200);
    const byName = { Host: 'counter.example', Authorization: `Bearer ${token}` };
    expect((await reset(token, client, byName)).status).toBe(200);
  });

  it.each([
    [{}, 'Bearer'],
    [{ Authorization: 'Basic dTpw' }, 'Bearer'],
    [{ Authorization: token }, 'Bearer'],
    [{ Authorization: 'Bearer ' }, 'Bearer'],
    [{ Authorization: 'Bearer wrong' }, 'Bearer error="invalid_token"'],
    [{ Authorization: `Bearer ${token}x` }, 'Bearer error="invalid_token"'],
    [{ Authorization: `Bearer ${token.slice(1)}` }, 'Bearer error="invalid_token"'],
  ])('nobody may without it, not from this machine either: %j', async (headers, challenge) => {
    const response = await reset(token, '127.0.0.1', headers);
    expect([response.status, response.get('www-authenticate')]).toEqual([401, challenge]);
    expect(response.text).not.toContain(token);
  });
});
