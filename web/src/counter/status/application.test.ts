import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import request from 'supertest';
import { afterEach, expect, it } from 'vitest';
import { type Application, createApp } from '../../app.ts';
import { createStatus } from './application.ts';

const TOKEN = '0123456789abcdef';
const log = pino({ level: 'silent' });
let application: Application;
afterEach(() => application.close());

/** The page's server, without a stack to look at. */
function build(token?: string) {
  const registry = new Registry();
  application = createStatus({ wanted: 3, certificates: [], token }, registry, log);
  return createApp({ application, log, trustProxyHops: 1, registry });
}
const serve = (token?: string) => request(build(token));
const basic = (password: string) => `Basic ${Buffer.from(`anybody:${password}`).toString('base64')}`;
const PATHS = ['/status', '/status/events', '/status/page.js', '/status/page.css'];

it('with a token, asks a browser for it, for the page and for all that the page loads', async () => {
  const http = serve(TOKEN);
  for (const path of PATHS) {
    const { status, headers } = await http.get(path);
    expect([path, status, headers['www-authenticate']]).toEqual([
      path,
      401,
      'Basic realm="status", charset="UTF-8"',
    ]);
    expect((await http.get(path).set('Authorization', basic('wrong'))).status).toBe(401);
  }
});

it.each([basic(TOKEN), `Bearer ${TOKEN}`])('with %s, says what is now', async (Authorization) => {
  const server = build(TOKEN).listen(0);
  const { port } = server.address() as AddressInfo;
  const stop = new AbortController();
  const { body } = await fetch(`http://127.0.0.1:${port}/status/events`, {
    headers: { Authorization },
    signal: stop.signal,
  });
  let text = '';
  // Nothing has answered yet: that is what it says.
  for await (const part of body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    if (text.includes('"status":"unavailable"')) break;
  }
  expect(text).toContain('event: history\ndata: []\n\n');
  stop.abort();
  server.closeAllConnections();
  server.close();
});

it('without a token, shows nothing to a public address', async () => {
  const http = serve();
  for (const path of PATHS)
    expect((await http.get(path).set('X-Forwarded-For', '203.0.113.7')).status).toBe(403);
});

it('tells when a deploy ended, for the alert', async () => {
  const http = serve();
  await http.get('/deploys/back').expect(200);
  const { text } = await http.get('/metrics');
  const at = (end: string) =>
    Number(new RegExp(`^stack_deploy_timestamp_seconds{end="${end}"} (.*)$`, 'm').exec(text)?.[1]);
  expect(at('done')).toBe(0);
  expect(at('back')).toBeGreaterThan(Date.now() / 1000 - 60);
});
