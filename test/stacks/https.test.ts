/** HTTPS with certificates of an authority: Pebble, which refuses every fifth nonce. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SignedSite } from '../support/authority.ts';
import { Clients } from '../support/clients.ts';
import { crash, until } from '../support/faults.ts';
import { docker, inspect } from '../support/stack.ts';
import { handshake, NAME, Visitor } from '../support/tls-client.ts';

let site: SignedSite;

beforeAll(async () => {
  site = await SignedSite.prepare('https');
});
afterAll(() => site[Symbol.asyncDispose]());

const names = async () => (await site.certificate()).subjectAltName;
const acme = async () => (await site.stack.containers('acme'))[0] ?? '';
const health = async () => inspect(await acme(), '{{.State.Health.Status}}');
const inVolume = async (command: string) => docker('exec', await acme(), 'sh', '-c', command);

it('is there after ./stack up, with a certificate that the authority signed', async ({ annotate }) => {
  const started = performance.now();
  await site.stack.up();
  const up = performance.now();
  const certificate = await site.serves(({ issuer }) => issuer.includes('Pebble'));
  const seconds = (ms: number) => (ms / 1000).toFixed(1);
  await annotate(
    `HTTPS: ./stack up took ${seconds(up - started)} s; the first good handshake ${seconds(performance.now() - started)} s after its start`,
    'figure',
  );
  expect(certificate.subjectAltName).toBe(`DNS:${NAME}`);
  using visitor = new Visitor(site.settings.HTTPS_PORT, await site.root());
  expect(await visitor.get('/')).toMatchObject({
    status: 200,
    text: 'Hello Linode!  This page has been viewed 1 time(s).',
    headers: { 'strict-transport-security': 'max-age=31536000' },
  });
  expect(await site.log()).toContain('visitors see a self-signed one');
  await until(async () => (await health()) === 'healthy');
});
