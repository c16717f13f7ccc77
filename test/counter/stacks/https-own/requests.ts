/** What NGINX makes of requests with TLS and without, well-meant and hostile. */
import { once } from 'node:events';
import { connect } from 'node:http2';
import { describe, expect, it } from 'vitest';
import { until } from '../../../support/faults.ts';
import type { OwnSite } from '../../../support/own-site.ts';
import { raw } from '../../../support/stack.ts';
import { connected, NAME } from '../../../support/tls-client.ts';
import { get } from '../../stack/bytes.ts';
import { TABLE } from '../../stack/hostile-requests.ts';

export function requests(site: () => OwnSite): void {
  describe('a request', () => {
    const plain = (path: string, options: RequestInit = {}) =>
      fetch(site().stack.address + path, { redirect: 'manual', ...options });

    it.each(['GET', 'POST'])(
      'without TLS, %s, is sent on to the same path with the same method',
      async (method) => {
        const { status, headers } = await plain('/a?b=c', { method });
        expect([status, headers.get('location')]).toEqual([308, `https://localhost:${site().port}/a?b=c`]);
        expect(headers.get('strict-transport-security')).toBeNull();
      },
    );

    it('for the health of the application is answered on both ports', async () => {
      expect((await plain('/health')).status).toBe(200);
      expect((await site().get('/health')).status).toBe(200);
    });

    it('for a challenge that is none is not sent on', async () => {
      expect((await plain('/.well-known/acme-challenge/none')).status).toBe(404);
      expect((await plain('/.well-known/acme-challenge/../../site.pem')).status).toBe(308);
      expect(
        await raw(
          site().stack.port,
          get({ target: '/.well-known/acme-challenge/%2e%2e/%2e%2e/%2e%2e/site.pem' }),
        ),
      ).toMatch(/^HTTP\/1\.1 (308|400|404) /);
    });

    it('over HTTP/2 is a visit, and its own port is part of the host', async () => {
      const session = connect(`https://127.0.0.1:${site().port}`, {
        servername: NAME,
        ca: site().certificate,
      });
      try {
        const stream = session.request({ ':path': '/', ':authority': `${NAME}:${site().port}` });
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
      const local = { Host: `localhost:${site().port}` };
      const reset = await site().get('/resetcounter', { headers: local });
      expect(reset.status).toBe(200);
      const forged = { ...local, 'X-Forwarded-For': '8.8.8.8', 'X-Forwarded-Proto': 'http' };
      expect((await site().get('/resetcounter', { headers: forged })).status).toBe(403);
      const foreign = { ...local, 'Sec-Fetch-Site': 'cross-site' };
      expect((await site().get('/resetcounter', { headers: foreign })).status).toBe(403);
      expect((await site().get('/resetcounter')).text).toContain('Forbidden');
      await until(async () => (await site().stack.logs('nginx', since)).length >= 4);
      const [line] = await site().stack.logs('nginx', since);
      expect(line).toMatchObject({
        client: await site().stack.on('edge', 'nginx', 'Gateway'),
        uri: '/resetcounter',
        status: 200,
      });
    });
  });

  /** As raw(), over TLS. */
  async function rawTls(request: string): Promise<string> {
    const socket = await connected(site().port);
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
}
