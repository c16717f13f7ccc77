/** HTTPS with certificates of an authority: Pebble, which refuses every fifth nonce. One site for all, in this order. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Settings, SignedSite } from '../../support/authority.ts';
import { Clients } from '../../support/clients.ts';
import { foreign } from '../../support/containers.ts';
import { crash, until } from '../../support/faults.ts';
import { docker } from '../../support/stack.ts';
import { NAME, Visitor } from '../../support/tls-client.ts';

let site: SignedSite;

beforeAll(async () => {
  site = await SignedSite.prepare('https');
});
afterAll(() => site[Symbol.asyncDispose]());

const acme = async () => (await site.stack.containers('acme'))[0] ?? '';
const inVolume = async (command: string) =>
  (await docker('exec', await acme(), 'sh', '-c', command)).stdout.trim();
/** As its health check says at this moment. */
const healthy = async () => docker('exec', await acme(), 'test', '-e', '/tmp/fresh');
const isHealthy = async () =>
  until(async () => (await healthy().catch(() => undefined)) !== undefined, 90_000);
/** Changes settings of .env, and replaces acme alone, as ./stack up does too. */
async function change(settings: Partial<Settings>): Promise<void> {
  Object.assign(site.settings, settings);
  await site.stack.compose('up', '--detach', '--no-build', '--no-deps', 'acme');
}
/** A certificate that is not the one before. */
async function renewed(before: { serialNumber: string }) {
  return site.serves(
    ({ serialNumber, issuer }) => serialNumber !== before.serialNumber && issuer.includes('Pebble'),
  );
}

it('is there after ./stack up, with a certificate that the authority signed', async ({ annotate }) => {
  const started = performance.now();
  await site.stack.up();
  const up = performance.now();
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
  await isHealthy();
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
    certificate = await renewed(certificate);
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

describe('names', () => {
  it('that are added and removed get another certificate, and NGINX stays', async () => {
    const nginx = await site.stack.containers('nginx');
    site.settings.HTTPS_DOMAINS = `${NAME},www.${NAME}`;
    await site.stack.up();
    await site.serves(({ subjectAltName }) => subjectAltName === `DNS:${NAME}, DNS:www.${NAME}`);
    await change({ HTTPS_DOMAINS: NAME });
    await site.serves(({ subjectAltName }) => subjectAltName === `DNS:${NAME}`);
    expect(await site.stack.containers('nginx')).toEqual(nginx);
  });

  it('that the authority does not find are named in the log, and the certificate before stays', async () => {
    const before = await site.certificate();
    await change({ HTTPS_DOMAINS: `${NAME},nowhere.test` });
    await until(
      async () => /nowhere\.test.*\n.*the next attempt is in \d+ s/s.test(await site.log()),
      90_000,
    );
    await expect(healthy()).rejects.toThrow();
    expect((await site.certificate()).serialNumber).toBe(before.serialNumber);
    await change({ HTTPS_DOMAINS: NAME });
    await isHealthy();
  });

  it('that are none are refused with the remedy', async () => {
    const run = (name: string) =>
      site.stack
        .compose('run', '--rm', '--no-deps', '--no-TTY', '--env', `HTTPS_DOMAINS=${name}`, 'acme')
        .catch(({ stdout }) => String(stdout));
    expect(await run('*.site.test')).toBe(
      "acme: HTTPS_DOMAINS holds '*.site.test': give names of this site, such as example.com,www.example.com; without wildcards, others than ASCII as xn--...\n",
    );
    expect(await run('--server')).toContain("holds '--server'");
  });
});

describe('what breaks', () => {
  it.each([
    [
      'files half written or between two places',
      'mv lego lego.old && mkdir -p lego.next/certificates && head -c 99 site.pem > site.new',
    ],
    ['an empty pair', ': > site.pem'],
  ])('is mended after acme was killed and left %s', async (_what, left) => {
    const before = await site.certificate();
    const account = await inVolume('cat lego/accounts/*/*/account.json');
    await inVolume(left);
    await (await crash(await acme()))();
    await isHealthy();
    await site.demandRenewal(before);
    await renewed(before);
    // What is there between two attempts.
    await until(async () => (await inVolume('ls')) === 'challenges\nlego\nsite.pem');
    expect(await inVolume('cat lego/accounts/*/*/account.json')).toBe(account);
  });

  it('is mended wherever acme is killed on its way to a certificate', async () => {
    for (const afterMs of [300, 1000, 2000]) {
      const before = await site.certificate();
      await site.demandRenewal(before);
      const { promise, resolve } = Promise.withResolvers<void>();
      setTimeout(resolve, afterMs);
      await promise;
      await (await crash(await acme()))();
      await site.serves(({ validToDate, issuer }) => issuer.includes('Pebble') && validToDate > new Date());
    }
    const before = await site.certificate();
    await site.demandRenewal(before);
    await renewed(before);
  });

  it('is mended if the volume is wiped: a self-signed certificate, then another', async () => {
    const before = await site.certificate();
    await inVolume('rm -rf /certificates/*');
    await renewed(before);
    await isHealthy();
  });

  it('stays, with its certificate, over a restart of everything', async () => {
    const before = await site.certificate();
    await site.stack.compose('restart');
    await isHealthy();
    expect((await site.certificate()).serialNumber).toBe(before.serialNumber);
  });
});

describe('a certificate of 20 seconds', () => {
  it('is renewed by its lifetime', async () => {
    await change({ ACME_PROFILE: 'short' });
    const short = await site.serves(
      ({ validToDate, validFromDate }) => validToDate.getTime() - validFromDate.getTime() <= 20_000,
    );
    await renewed(short);
  });

  it('expires while the authority is away, and is replaced once it is back, with another root and without the account', async () => {
    await site.stack.compose('stop', 'authority');
    const expired = await site.serves(({ validToDate }) => validToDate < new Date());
    await until(
      async () =>
        healthy().then(
          () => false,
          () => true,
        ),
      90_000,
    );
    await site.stack.compose('start', 'authority');
    const next = await site.serves(({ validToDate }) => validToDate > new Date());
    expect(next.issuer).not.toBe(expired.issuer);
    await isHealthy();
  });
});
