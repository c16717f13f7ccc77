/** A stack with HTTPS whose certificates are signed by Pebble, Let's Encrypt's authority for tests. */
import type { X509Certificate } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { foreign } from './containers.ts';
import { until } from './faults.ts';
import { attempt, docker, Stack } from './stack.ts';
import { CHECKOUT, freePort } from './this-checkout.ts';
import { handshake, NAME } from './tls-client.ts';
import { certificate } from './tls-stores.ts';

/** By profile, for how long certificates are valid (s). */
const PROFILES = { long: 90 * 86_400, week: 7 * 86_400, short: 20 };
const PEBBLE = {
  listenAddress: '0.0.0.0:14000',
  managementListenAddress: '0.0.0.0:15000',
  certificate: '/authority/cert.pem',
  privateKey: '/authority/key.pem',
  // Of NGINX, on the network of containers.
  httpPort: 8080,
  tlsPort: 8443,
  externalAccountBindingRequired: false,
  retryAfter: { authz: 1, order: 1 },
  keyAlgorithm: 'ecdsa',
  profiles: Object.fromEntries(
    Object.entries(PROFILES).map(([name, validityPeriod]) => [name, { description: name, validityPeriod }]),
  ),
};

async function configure(directory: string, settings: object): Promise<void> {
  const pebble = { ...PEBBLE, ...settings };
  await writeFile(join(directory, 'pebble.json'), JSON.stringify({ pebble }), { mode: 0o644 });
}

/** The settings of .env, which a test may change before it calls up(). */
export interface Settings extends NodeJS.ProcessEnv {
  HTTPS_PORT: string;
  HTTPS_DOMAINS: string;
  ACME_PROFILE: keyof typeof PROFILES;
  AUTHORITY_DIR: string;
}

/** Laid over the stack, in this order. */
export const OVERLAYS = ['compose/https.yml', 'compose/https-acme.yml', 'test/support/https.yml'];

/** Makes the files of an authority in an empty directory, and the settings of a site that asks it. */
export async function authority(directory: string): Promise<Settings> {
  const own = await certificate('authority.test');
  // The container's user is another.
  await chmod(directory, 0o755);
  await writeFile(join(directory, 'cert.pem'), own.cert, { mode: 0o644 });
  await writeFile(join(directory, 'key.pem'), own.private, { mode: 0o644 });
  await configure(directory, {});
  const standIn = process.env.NGINX_IMAGE?.startsWith('stand-in/') ? { LEGO_IMAGE: 'stand-in/lego' } : {};
  return {
    HTTPS_PORT: String(await freePort()),
    HTTPS_DOMAINS: NAME,
    HTTPS_HSTS: '31536000',
    ACME_DIRECTORY: 'https://authority.test:14000/dir',
    ACME_PROFILE: 'long',
    ACME_CHECK_SECONDS: '1',
    AUTHORITY_DIR: directory,
    PEBBLE_IMAGE: foreign('pebble'),
    ...standIn,
  };
}

export class SignedSite implements AsyncDisposable {
  readonly stack: Stack;
  readonly settings: Settings;
  readonly #directory: string;

  private constructor(stack: Stack, settings: Settings, directory: string) {
    this.stack = stack;
    this.settings = settings;
    this.#directory = directory;
  }

  /** All but the stack itself, which up() starts. */
  static async prepare(name: string): Promise<SignedSite> {
    const directory = await mkdtemp(join(tmpdir(), 'authority-'));
    const settings = await authority(directory);
    const stack = new Stack(`${name}-${CHECKOUT}`, String(await freePort()), OVERLAYS, settings);
    await stack.remove();
    return new SignedSite(stack, settings, directory);
  }

  /** What NGINX serves now, whoever signed it. */
  async certificate(): Promise<X509Certificate> {
    const { certificate } = await handshake(this.settings.HTTPS_PORT);
    if (!certificate) throw new Error('NGINX serves no certificate');
    return certificate;
  }

  /** Changes settings of .env, and replaces acme alone, as ./stack up does too. */
  async change(settings: Partial<Settings>): Promise<void> {
    Object.assign(this.settings, settings);
    await this.stack.compose('up', '--detach', '--no-build', '--no-deps', 'acme');
  }

  /** The container of acme. */
  async acme(): Promise<string> {
    return (await this.stack.containers('acme'))[0] ?? '';
  }

  /** What a command writes in the volume of certificates. */
  async inVolume(command: string): Promise<string> {
    return (await docker('exec', await this.acme(), 'sh', '-c', command)).stdout.trim();
  }

  /** Until acme is healthy, or is not, as its health check says at this moment. */
  async isHealthy(wanted = true): Promise<void> {
    const healthy = async () =>
      (await attempt('docker', 'exec', await this.acme(), 'test', '-e', '/tmp/fresh')).code === 0;
    await until(async () => (await healthy()) === wanted, 90_000);
  }

  /** Until NGINX serves a certificate of the authority that is not the one before. */
  async renewed(before: X509Certificate): Promise<X509Certificate> {
    return this.serves(
      ({ serialNumber, issuer }) => serialNumber !== before.serialNumber && issuer.includes('Pebble'),
    );
  }

  /** Until NGINX serves a certificate that is as this says. */
  async serves(
    wanted: (certificate: X509Certificate) => boolean,
    limitMs = 90_000,
  ): Promise<X509Certificate> {
    await until(async () => wanted(await this.certificate()), limitMs);
    return this.certificate();
  }

  /** The root of the authority, in PEM: another one after each of its starts. */
  async root(): Promise<string> {
    return this.#manage('/roots/0');
  }

  /** Has the authority say that this certificate is to be renewed now. */
  async demandRenewal(certificate: X509Certificate): Promise<void> {
    const window = { start: '2020-01-01T00:00:00Z', end: '2020-01-02T00:00:00Z' };
    const ariResponse = JSON.stringify({ suggestedWindow: window });
    await this.#manage(
      '/set-renewal-info/',
      JSON.stringify({ certificate: certificate.toString(), ariResponse }),
    );
  }

  /** The authority starts anew, and takes those alone that have an account with it: keys by their names. */
  async takeOnly(externalAccountMACKeys: Record<string, string>): Promise<void> {
    await configure(this.#directory, { externalAccountBindingRequired: true, externalAccountMACKeys });
    await this.stack.compose('restart', 'authority');
  }

  async #manage(path: string, body?: string): Promise<string> {
    const address = await this.stack.on('edge', 'authority');
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const headers = { 'User-Agent': 'test' };
    const options = { method: body ? 'POST' : 'GET', headers, rejectUnauthorized: false, timeout: 15_000 };
    request(`https://${address}:15000${path}`, options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => (response.statusCode === 200 ? resolve(text) : reject(new Error(text))));
    })
      .on('timeout', () => reject(new Error('the authority is silent')))
      .on('error', reject)
      .end(body);
    return promise;
  }

  /** What acme said so far. */
  async log(): Promise<string> {
    return this.stack.compose('logs', '--no-log-prefix', '--no-color', 'acme');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.remove();
    await rm(this.#directory, { recursive: true });
  }
}
