/** What NGINX believes of a client that names a scheme and an address, with TLS and without. */
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../../support/faults.ts';
import type { OwnSite } from '../../../support/own-site.ts';
import { docker, type Stack } from '../../../support/stack.ts';
import { LABEL } from '../../../support/this-checkout.ts';
import type { Answer } from '../../../support/tls-client.ts';

/** In place of web, an application that answers with what it was told. */
async function instead(stack: Stack): Promise<AsyncDisposable> {
  const name = `${stack.project}-echo`;
  const remove = () => docker('rm', '--force', name);
  await remove();
  await docker(
    ...['run', '--detach', '--name', name, '--label', LABEL, '--network', `${stack.project}_front`],
    ...['--network-alias', 'web.front.internal', '--init'],
    ...['--volume', `${resolve('test/stack/edge-app.ts')}:/app.ts:ro`],
    ...[process.env.NODE_IMAGE ?? '', 'node', '/app.ts'],
  );
  await stack.compose('stop', 'web');
  await until(async () => (await (await fetch(`${stack.address}/health`)).text()).includes('replica'));
  return {
    [Symbol.asyncDispose]: async () => {
      await stack.compose('start', 'web');
      await remove();
    },
  };
}

/** The status, and the scheme that the application was told, if it was asked. */
function seen({ status, text }: Pick<Answer, 'status' | 'text'>) {
  return [status, status === 200 ? JSON.parse(text).headers['x-forwarded-proto'] : undefined];
}

const SENT_ON = [308, undefined];

export function proxies(site: () => OwnSite): void {
  describe('what a client says of itself', () => {
    const plain = async (path: string, headers: Record<string, string> = {}) => {
      const response = await fetch(site().stack.address + path, { redirect: 'manual', headers });
      return seen({ status: response.status, text: await response.text() });
    };
    const secure = async (headers: Record<string, string> = {}) => seen(await site().get('/', { headers }));
    const says = (scheme: string) => ({ 'X-Forwarded-Proto': scheme, 'X-Forwarded-For': '203.0.113.7' });

    it('changes nothing: web is told the scheme by which it came', async () => {
      await using _ = await instead(site().stack);
      expect(await secure()).toEqual([200, 'https']);
      expect(await secure(says('http'))).toEqual([200, 'https']);
      // The one path that is answered without TLS.
      expect(await plain('/health')).toEqual([200, 'http']);
      expect(await plain('/health', says('https'))).toEqual([200, 'http']);
      expect(await plain('/', says('https'))).toEqual(SENT_ON);
    });

    describe('if it is a proxy that is named', () => {
      beforeAll(async () => {
        await site().stack.up({ TRUSTED_PROXIES: await site().stack.on('edge', 'nginx', 'Gateway') });
      });
      afterAll(() => site().stack.up());

      it.each([
        ['a public client', '8.8.8.8', 403],
        ['a private client', '10.1.2.3', 200],
      ])('counts over TLS for the log and the guard: %s', async (_who, client, status) => {
        const since = new Date().toISOString();
        const headers = { Host: `localhost:${site().port}`, 'X-Forwarded-For': client };
        expect((await site().get('/resetcounter', { headers })).status).toBe(status);
        await until(async () => (await site().stack.logs('nginx', since)).length > 0);
        expect((await site().stack.logs('nginx', since)).at(-1)).toMatchObject({ client, status });
      });

      it('counts for the scheme: web is told, and https is not sent on', async () => {
        await using _ = await instead(site().stack);
        expect(await plain('/', says('https'))).toEqual([200, 'https']);
        expect(await secure(says('https'))).toEqual([200, 'https']);
        expect(await plain('/', says('http'))).toEqual(SENT_ON);
        expect(await secure(says('http'))).toEqual(SENT_ON);
        // By which scheme NGINX itself is asked, if the proxy says none.
        expect(await plain('/', { 'X-Forwarded-For': '203.0.113.7' })).toEqual(SENT_ON);
        expect(await secure({ 'X-Forwarded-For': '203.0.113.7' })).toEqual([200, 'https']);
      });
    });
  });
}
