/** HTTPS with a certificate of one's own: one site for all that is tried on it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../support/faults.ts';
import { OwnSite, pair } from '../../support/own-site.ts';
import type { Stack } from '../../support/stack.ts';
import { handshake, NAME } from '../../support/tls-client.ts';
import { handshakes } from './https-own/handshakes.ts';
import { proxies } from './https-own/proxies.ts';
import { requests } from './https-own/requests.ts';

let site: OwnSite;
let stack: Stack;
let port: string;

beforeAll(async () => {
  site = await OwnSite.start('https-own', await pair(NAME));
  ({ stack, port } = site);
});
afterAll(() => site[Symbol.asyncDispose]());

const serial = async () => (await handshake(port)).certificate?.serialNumber;

/** What `./stack up` says, well or badly. */
const up = () => stack.up().catch(({ stderr }) => String(stderr));

describe('a certificate of your own', () => {
  it('is served, whoever owns its key on this machine', async () => {
    const { distrust } = await handshake(port, { ca: site.certificate });
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
    await site.write(next);
    expect(await up()).toContain(`curl https://${NAME}:${port} `);
    await until(async () => (await serial()) !== before);
    expect(await stack.containers('nginx')).toEqual(nginx);
  });
});

handshakes(() => site);
requests(() => site);
proxies(() => site);
