/** HTTPS with certificates of an authority: Pebble, which refuses every fifth nonce. One site for all, in this order. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SignedSite } from '../../support/authority.ts';
import { Clients } from '../../support/clients.ts';
import { foreign } from '../../support/containers.ts';
import { docker } from '../../support/stack.ts';
import { NAME, Visitor } from '../../support/tls-client.ts';
import { accounts } from './https/accounts.ts';
import { faults } from './https/faults.ts';
import { names } from './https/names.ts';

let site: SignedSite;

beforeAll(async () => {
  site = await SignedSite.prepare('https');
});
afterAll(() => site[Symbol.asyncDispose]());

it('is there after ./stack up, with a certificate that the authority signed', async ({ annotate }) => {
  const started = performance.now();
  const says = await site.stack.up();
  const up = performance.now();
  expect(says).toContain(`curl https://${NAME}:${site.settings.HTTPS_PORT} `);
  expect(says).toContain('may take a minute: ./stack logs acme');
  const certificate = await site.serves(({ issuer }) => issuer.includes('Pebble'));
  const seconds = (ms: number) => (ms / 1000).toFixed(1);
  await annotate(
    `HTTPS: ./stack up took ${seconds(up - started)} s, and ${seconds(performance.now() - started)} s after its start there was a good handshake`,
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
  await site.isHealthy();
});

it('renews ten times under load: NGINX goes on as it is, and no request fails', async ({ annotate }) => {
  const [nginx = ''] = await site.stack.containers('nginx');
  const workers = async () => (await docker('top', nginx, '-o', 'pid')).stdout;
  const before = await workers();
  const root = await site.root();
  const errors: string[] = [];
  let sent = 0;
  // Half of them shake hands for each request.
  const visitors = [false, false, true, true].map(
    (keep) => new Visitor(site.settings.HTTPS_PORT, root, keep),
  );
  const clients = new Clients(visitors.length, async () => {
    const visitor = visitors[sent++ % visitors.length];
    const answer = await visitor?.get('/').catch(String);
    if (typeof answer === 'string' || answer?.status !== 200) errors.push(JSON.stringify(answer));
  });
  let certificate = await site.certificate();
  for (let renewals = 0; renewals < 10; renewals++) {
    await site.demandRenewal(certificate);
    certificate = await site.renewed(certificate);
  }
  await clients.stop();
  for (const visitor of visitors) visitor[Symbol.dispose]();
  await annotate(`HTTPS: ${sent} requests over ten renewals, ${errors.length} failed`, 'figure');
  expect(errors).toEqual([]);
  expect(await workers()).toBe(before);
});

it('testssl.sh finds nothing above "low" but what an authority for tests lacks', {
  timeout: 300_000,
}, async () => {
  const checks = ['--protocols', '--std', '--fs', '--server-defaults', '--header', '--vulnerable'];
  // Its own names of findings, by severity, as JSON on its standard output.
  const script = `cat > /tmp/root.pem && cd /tmp && testssl --quiet --color 0 --warnings off --ip "$1" --add-ca root.pem \
    ${checks.join(' ')} --jsonfile out.json ${NAME}:8443 > /dev/null; cat out.json`;
  const address = await site.stack.on('edge', 'nginx');
  const network = ['--network', `${site.stack.project}_edge`, '--tmpfs', '/tmp:mode=1777'];
  const command = [foreign('testssl'), 'bash', '-c', script, 'testssl', address];
  const child = promisify(execFile)('docker', ['run', '--rm', '--interactive', ...network, ...command], {
    maxBuffer: 2 ** 24,
  });
  child.child.stdin?.end(await site.root());
  const findings: { id: string; severity: string; finding: string }[] = JSON.parse((await child).stdout);
  expect(findings.length).toBeGreaterThan(80);
  const above = findings.filter(({ severity }) => /^(MEDIUM|HIGH|CRITICAL|FATAL)$/.test(severity));
  // Pebble names no list of revoked certificates. Let's Encrypt does.
  expect(above.map(({ id, finding }) => `${id}: ${finding}`)).toEqual([
    'cert_revocation: Neither CRL nor OCSP URI provided',
  ]);
});

names(() => site);
faults(() => site);
accounts(() => site);
