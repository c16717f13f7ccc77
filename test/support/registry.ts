/** A private image registry with TLS, which this machine's engines believe. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Wait } from 'testcontainers';
import { foreign, named, store } from './containers.ts';
import { docker } from './stack.ts';
import { freePort } from './this-checkout.ts';
import { certificate } from './tls-stores.ts';

const USER = 'somebody:secret';
/** bcrypt of the password, as htpasswd makes it. */
const HTPASSWD = 'somebody:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a';

export interface Registry extends AsyncDisposable {
  /** Before an image's name. */
  name: string;
  /** DOCKER_CONFIG of somebody who is logged in. */
  login: string;
}

/** @param host an address of this machine that engines reach */
export async function startRegistry(host: string): Promise<Registry> {
  const port = await freePort();
  const name = `${host}:${port}`;
  const { cert, private: key } = await certificate(host);
  const content = { cert, key, htpasswd: HTPASSWD };
  const container = await named(foreign('registry'), port, 5000)
    .withCopyContentToContainer(
      Object.entries(content).map(([file, content]) => ({ content, target: `/run/${file}`, mode: 0o644 })),
    )
    .withEnvironment({
      REGISTRY_AUTH_HTPASSWD_PATH: '/run/htpasswd',
      REGISTRY_HTTP_TLS_CERTIFICATE: '/run/cert',
      REGISTRY_HTTP_TLS_KEY: '/run/key',
      REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/tmp',
    })
    .withCommand(['docker-registry', 'serve', '/etc/docker/registry/config.yml'])
    .withWaitStrategy(Wait.forLogMessage('listening on'))
    .start();
  const running = await store(container, `https://${name}`);
  // Where each engine looks for it: https://docs.docker.com/engine/security/certificates/
  const trusted = `/etc/docker/certs.d/${name}`;
  await mkdir(trusted, { recursive: true });
  await writeFile(join(trusted, 'ca.crt'), cert);
  const login = await mkdtemp(join(tmpdir(), 'login-'));
  const auths = { [name]: { auth: Buffer.from(USER).toString('base64') } };
  await writeFile(join(login, 'config.json'), JSON.stringify({ auths }));
  return {
    name,
    login,
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      // What was pushed, by its names here.
      const { stdout } = await docker('image', 'ls', '--format', '{{.Repository}}:{{.Tag}}', `${name}/*`);
      await docker('image', 'rm', ...stdout.split('\n').filter(Boolean));
      await rm(trusted, { recursive: true });
      await rm(login, { recursive: true });
    },
  };
}
