import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { event, Stream } from './stream.ts';

let stream: Stream;
let server: ReturnType<typeof createServer>;
const pages: IncomingMessage[] = [];
beforeEach(async () => {
  stream = new Stream();
  const app = express().get('/', (_req, res) => stream.open(res, event('now', { first: true })));
  server = createServer(app);
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
afterEach(() => {
  for (const page of pages.splice(0)) page.destroy();
  server.closeAllConnections();
  server.close();
});

async function open(): Promise<IncomingMessage> {
  const request = get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.on('error', () => {});
  pages.push(response);
  return response;
}

it('sends a page what is now at once, and then what all are sent', async () => {
  const page = await open();
  let text = '';
  page.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  await expect.poll(() => text).toBe('retry: 500\n\nevent: now\ndata: {"first":true}\n\n');
  stream.send(event('now', { second: true }));
  await expect.poll(() => text).toContain('data: {"second":true}\n\n');
});

it('refuses one page too many, and takes it when another has closed', async () => {
  for (let i = 0; i < 64; i++) expect((await open()).statusCode).toBe(200);
  expect((await open()).statusCode).toBe(503);
  pages[0]?.destroy();
  await expect.poll(() => stream.size).toBe(63);
  expect((await open()).statusCode).toBe(200);
});

it('forgets a page that does not read', async () => {
  await open();
  const large = event('now', 'x'.repeat(100_000));
  await expect
    .poll(
      () => {
        stream.send(large);
        return stream.size;
      },
      { timeout: 10_000, interval: 5 },
    )
    .toBe(0);
});

it('ends all when it is closed', async () => {
  const page = await open();
  page.resume();
  const end = once(page, 'end');
  stream.close();
  await end;
  await expect.poll(() => stream.size).toBe(0);
});
