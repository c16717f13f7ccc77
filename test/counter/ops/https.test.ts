/** A site that gets HTTPS, with a certificate of its own, and what operations cost visitors from then on. */
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Clients } from '../../support/clients.ts';
import { pair } from '../../support/own-site.ts';
import { docker } from '../../support/stack.ts';
import { freePort } from '../../support/this-checkout.ts';
import { CLIENTS } from '../chaos/chaos.ts';
import { blame, CASES, runCase } from './cases.ts';
import { Site } from './site.ts';

let plain: Site;
let site: Site;
let files: Awaited<ReturnType<typeof mkdtempDisposable>>;

beforeAll(async () => {
  files = await mkdtempDisposable(join(tmpdir(), 'certificate-'));
  const { cert, key } = await pair('localhost');
  setDefaultCACertificates([...getCACertificates(), cert]);
  const settings = {
    HTTPS_DOMAINS: 'localhost',
    HTTPS_PORT: String(await freePort()),
    HTTPS_CERT_FILE: join(files.path, 'cert.pem'),
    HTTPS_KEY_FILE: join(files.path, 'key.pem'),
  };
  await writeFile(settings.HTTPS_CERT_FILE, cert);
  await writeFile(settings.HTTPS_KEY_FILE, key);
  plain = await Site.start('ops-https');
  site = plain.with(settings);
});
afterAll(async () => {
  await plain[Symbol.asyncDispose]();
  await docker('volume', 'rm', '--force', `${plain.stack.project}_own-certificate`);
  await files[Symbol.asyncDispose]();
});

it('a deploy does not send visitors to HTTPS before there is a certificate', async () => {
  expect(await site.refuses('deploy')).toMatch(/there is no certificate yet: \.\/stack up gets one/);
  expect(await plain.visit()).toBeGreaterThan(0);
});

it.for(['a good deploy, another one at once, and a rollback', 'scale 3 → 9 → 1 → 3'])(
  'serves on over TLS, and sends others on: %s',
  async (name, { annotate }) => {
    await site.does('up');
    const one = CASES.find((one) => one.name === name);
    if (!one) throw new Error(`there is no case '${name}'`);
    const others: number[] = [];
    // As many as visit over TLS. That they get an answer at once says nothing of the replicas.
    const clients = new Clients(CLIENTS, async () => {
      const { status } = await fetch(site.stack.address, { redirect: 'manual' });
      others.push(status);
    });
    try {
      const result = await runCase(site, one);
      await annotate(`over TLS, ${name}: ${result.visits} visits, ${result.failed} failed`, 'figure');
      expect(blame(one, result)).toEqual([]);
    } finally {
      await clients.stop();
    }
    expect(new Set(others)).toEqual(new Set([308]));
  },
);
