/** A stack with HTTPS and a certificate of its own. */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { generate } from 'selfsigned';
import { Stack } from './stack.ts';
import { CHECKOUT, freePort } from './this-checkout.ts';
import { type Answer, NAME, Visitor } from './tls-client.ts';

const run = promisify(execFile);
const DAY_MS = 86_400_000;

export interface Pair {
  cert: string;
  key: string;
}

/** A certificate for one name, which is its own authority, and its key: valid for two days until then. */
export async function pair(name: string, notAfterDate = new Date(Date.now() + DAY_MS)): Promise<Pair> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
    notBeforeDate: new Date(notAfterDate.getTime() - 2 * DAY_MS),
    notAfterDate,
    // As lego makes them.
    keyType: 'ec',
    curve: 'P-256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: name }] }],
  });
  return { cert, key };
}

export class OwnSite implements AsyncDisposable {
  readonly stack: Stack;
  /** Of HTTPS, on this machine. */
  readonly port: string;
  readonly directory: string;
  /** In PEM, as it was written last. */
  certificate = '';

  private constructor(stack: Stack, port: string, directory: string) {
    this.stack = stack;
    this.port = port;
    this.directory = directory;
  }

  /** ./stack lays the overlays by itself. @param own for the name of the site */
  static async start(name: string, own: Pair): Promise<OwnSite> {
    const directory = await mkdtemp(join(tmpdir(), 'own-'));
    const port = String(await freePort());
    const stack = new Stack(`${name}-${CHECKOUT}`, String(await freePort()), [], {
      HTTPS_PORT: port,
      HTTPS_DOMAINS: NAME,
      HTTPS_CERT_FILE: join(directory, 'cert.pem'),
      HTTPS_KEY_FILE: join(directory, 'key.pem'),
    });
    const site = new OwnSite(stack, port, directory);
    await site.write(own);
    await stack.remove();
    await stack.up();
    return site;
  }

  /** What a visitor gets who believes the certificate. */
  async get(path: string, options: RequestOptions = {}): Promise<Answer> {
    using visitor = new Visitor(this.port, this.certificate);
    return await visitor.get(path, options);
  }

  /** Where the settings find it; the key as certbot leaves it, but another user's than root's. */
  async write({ cert, key }: Pair): Promise<void> {
    const keyFile = join(this.directory, 'key.pem');
    this.certificate = cert;
    await writeFile(join(this.directory, 'cert.pem'), cert);
    await writeFile(keyFile, key);
    await chmod(keyFile, 0o600);
    await run('chown', ['4321', keyFile]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.remove();
    // Of an overlay, which Stack does not know of.
    await run('docker', ['volume', 'rm', '--force', `${this.stack.project}_own-certificate`]);
    await rm(this.directory, { recursive: true });
  }
}
