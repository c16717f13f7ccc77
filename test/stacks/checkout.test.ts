/** A stack of a clone of its own, which git wrote as on Windows: what a commit, an update and a new name of its folder do. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { appendFile, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { subject } from '../subject.ts';
import { Checkout } from '../support/checkout.ts';
import { docker, inspect } from '../support/stack.ts';
import { CHECKOUT, freePort } from '../support/this-checkout.ts';

const run = promisify(execFile);
const PROJECT = `checkout-test-${CHECKOUT}`;
const SERVICES = ['nginx', 'web', 'redis', 'postgres'];

/** A folder for all that follows, and the clone in it. */
let parent: string;
let clone: string;
let port: number;
let registry: Registry;

/** Images that no registry has, and no stand-ins, which an update would make anew. */
const LOCAL = ['node', 'nginx', 'postgres'].map((name) => ({
  setting: `${name.toUpperCase()}_IMAGE`,
  image: `${PROJECT}/${name}`,
}));

const env = () => ({
  ...process.env,
  ...Object.fromEntries(LOCAL.map(({ setting, image }) => [setting, image])),
  HTTP_PORT: String(port),
  REDIS_IMAGE: registry.image,
});
/** As it is called when it is not in PATH: through a relative link, from another folder. */
const stack = (...args: string[]) =>
  run(join(parent, 'bin', 'stack'), args, { cwd: tmpdir(), env: env(), maxBuffer: 2 ** 24 });
const git = async (...args: string[]) => (await run('git', args, { cwd: clone })).stdout;
const commit = (message: string) =>
  git('-c', 'user.name=Test', '-c', 'user.email=test@example.com', 'commit', '--all', '--message', message);
/** Writes once: how often was written. */
async function write(): Promise<number> {
  await subject.write(`http://localhost:${port}`);
  const psql = ['exec', '-T', 'postgres', 'psql', '-Atc', subject.count];
  return Number(
    (await run('docker', ['compose', '--project-name', PROJECT, ...psql], { cwd: clone, env: env() })).stdout,
  );
}

/** The ids of the containers of each service. */
async function containers(): Promise<Record<string, string[]>> {
  const ids = SERVICES.map(async (service) => {
    const { stdout } = await docker(
      ...['ps', '--quiet', '--no-trunc', '--filter', `label=com.docker.compose.project=${PROJECT}`],
      ...['--filter', `label=com.docker.compose.service=${service}`],
    );
    return [service, stdout.trim().split('\n').toSorted()] as const;
  });
  return Object.fromEntries(await Promise.all(ids));
}

async function label(service: string, name: string): Promise<string> {
  const [id = ''] = (await containers())[service] ?? [];
  const format = `{{index .Config.Labels "org.opencontainers.image.${name}"}}`;
  return inspect(await inspect(id, '{{.Image}}'), format);
}

/** An image registry that has one image, of one name: what `docker save` wrote. */
class Registry {
  readonly image: string;
  readonly #server: Server;
  readonly #folder: string;

  private constructor(server: Server, folder: string) {
    this.#server = server;
    this.#folder = folder;
    this.image = `127.0.0.1:${(server.address() as AddressInfo).port}/redis:latest`;
  }

  static async start(folder: string): Promise<Registry> {
    await mkdir(folder);
    const server = createServer(async ({ url = '', method }, response) => {
      const [, kind, digest] = /^\/v2\/redis\/(manifests|blobs)\/(.+)$/.exec(url) ?? [];
      if (!kind) return response.end('{}');
      const [manifest] = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8')).manifests;
      const path = join(folder, 'blobs', ...(kind === 'manifests' ? manifest.digest : digest).split(':'));
      if (kind === 'blobs') return createReadStream(path).pipe(response);
      const content = await readFile(path);
      response.setHeader('Content-Type', manifest.mediaType);
      response.setHeader('Content-Length', content.length);
      response.setHeader(
        'Docker-Content-Digest',
        `sha256:${createHash('sha256').update(content).digest('hex')}`,
      );
      return response.end(method === 'HEAD' ? undefined : content);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Registry(server, folder);
  }

  /** Has it an image like the one that the tests run with, but for a label; this machine has it no more. */
  async publish(version: string): Promise<void> {
    const name = `${PROJECT}-published`;
    await derive(name, 'REDIS_IMAGE', version);
    await run('sh', ['-c', `docker save ${name} | tar --extract --directory '${this.#folder}'`]);
    await docker('rmi', name);
  }

  close(): void {
    this.#server.close();
  }
}

/** Builds an image like one that the tests run with, but for a label. */
async function derive(name: string, setting: string, version: string): Promise<void> {
  // An image of this test alone: what another checkout's test left could hold one of the same content.
  const dockerfile = `FROM ${process.env[setting]}\nLABEL published=${version} of=${PROJECT}\n`;
  await run('sh', ['-c', 'printf %s "$1" | docker build --quiet --tag "$2" -', 'sh', dockerfile, name]);
}

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'checkout-'));
  registry = await Registry.start(join(parent, 'registry'));
  await registry.publish('first');
  for (const { setting, image } of LOCAL) await derive(image, setting, 'never');
  port = await freePort();
  await using copy = await Checkout.copy();
  // A name of its own, which the file has: the one that users have may be in use here.
  const file = join(copy.path, 'docker-compose.yml');
  await writeFile(file, (await readFile(file, 'utf8')).replace(/^name: .*$/m, `name: ${PROJECT}`));
  clone = copy.path;
  await git('init', '--quiet');
  await git('add', '--all');
  await commit('begin');
  clone = join(parent, `it's a "clone"`);
  await run('git', ['clone', '--quiet', '--config', 'core.autocrlf=true', copy.path, clone]);
  await run('cp', [join(copy.path, '.env'), clone]).catch(() => {});
  await mkdir(join(parent, 'bin'));
  await symlink(`../it's a "clone"/stack`, join(parent, 'bin', 'stack'));
  await stack('up');
});

afterAll(async () => {
  await run('docker', ['compose', 'down', '--volumes', '--rmi', 'local'], { cwd: clone, env: env() });
  registry.close();
  await docker('rmi', registry.image, ...LOCAL.map(({ image }) => image));
  await rm(parent, { recursive: true });
});

it('a checkout of Windows has the line ends of the repository, and its stack works', async () => {
  expect(await git('config', 'core.autocrlf')).toBe('true\n');
  const ends = (await git('ls-files', '--eol')).split('\n').filter(Boolean);
  expect(ends.length).toBeGreaterThan(50);
  expect(ends.filter((line) => /w\/(crlf|mixed)/.test(line))).toEqual([]);
  expect(await write()).toBe(1);
});

it('a commit of documents and tests alone replaces nothing', async () => {
  const before = [await containers(), await label('web', 'revision')];
  await appendFile(join(clone, 'README.md'), '\nMore.\n');
  await appendFile(join(clone, 'host', 'base-images', 'README.md'), '\nMore.\n');
  await appendFile(join(clone, 'web', 'src', 'app.test.ts'), '// More.\n');
  await commit('say more');
  await stack('up');
  expect([await containers(), await label('web', 'revision')]).toEqual(before);
});

it('a commit replaces the service that it changes, whose image names it, and no other', async () => {
  const before = await containers();
  await appendFile(join(clone, 'nginx', 'nginx.conf'), '# More.\n');
  await commit('change nginx');
  await stack('up');
  const after = await containers();
  expect(after).toEqual({ ...before, nginx: after.nginx });
  expect(after.nginx).not.toEqual(before.nginx);
  expect(await label('nginx', 'revision')).toBe((await git('rev-parse', 'HEAD')).trim());
  expect(await label('postgres', 'revision')).toBe((await git('rev-parse', 'HEAD~2')).trim());
});

it("starts the services of the user's own Compose file, one that ends too", async () => {
  const own = join(parent, 'own.yml');
  const service = { image: `${PROJECT}/postgres`, network_mode: 'none', init: true };
  const services = {
    stays: { ...service, entrypoint: ['sleep', 'infinity'] },
    ends: { ...service, entrypoint: ['true'] },
  };
  await writeFile(own, JSON.stringify({ services }));
  const options = { cwd: clone, env: { ...env(), COMPOSE_FILE: `docker-compose.yml:${own}` } };
  try {
    await run('./stack', ['up'], options);
    const state = async (name: string) =>
      inspect(`${PROJECT}-${name}-1`, '{{.State.Status}} {{.State.ExitCode}}');
    expect(await Promise.all([state('stays'), state('ends')])).toEqual(['running 0', 'exited 0']);
  } finally {
    await docker('rm', '--force', `${PROJECT}-stays-1`, `${PROJECT}-ends-1`);
  }
});

it('an image that is made from what no commit has says so', async () => {
  await writeFile(join(clone, 'postgres', 'new.sql'), '');
  await stack('up');
  expect(await label('postgres', 'revision')).toMatch(/^[0-9a-f]{40}-dirty$/);
  expect(await label('nginx', 'revision')).toMatch(/^[0-9a-f]{40}$/);
  await rm(join(clone, 'postgres', 'new.sql'));
  await stack('up');
});

it('./stack update runs on newer base images and removes what they replace, of this project alone', async () => {
  await appendFile(join(clone, 'nginx', 'nginx.conf'), '# And more.\n');
  await stack('up');
  const count = await write();
  const unnamed = async () =>
    (await docker('image', 'ls', '--quiet', '--no-trunc', '--filter', 'dangling=true')).stdout
      .split('\n')
      .filter(Boolean);
  const builds = async () =>
    (
      await docker(
        ...['image', 'ls', '--quiet', '--no-trunc', '--filter', 'dangling=true'],
        ...['--filter', `label=com.docker.compose.project=${PROJECT}`],
      )
    ).stdout;
  // A former build of another project.
  const foreign = (
    await run('sh', [
      '-c',
      `printf 'FROM %s\\nLABEL com.docker.compose.project=other\\n' "$REDIS_IMAGE" | docker build --quiet -`,
    ])
  ).stdout.trim();
  const before = await containers();
  const former = await inspect(registry.image, '{{.Id}}');
  expect(await builds()).not.toBe('');

  await registry.publish('second');
  // Where Docker cannot tell an image that was made here from one of a registry, it says that it cannot renew that.
  const { stderr } = await stack('update').catch((error) => error);
  expect(stderr).not.toMatch(/the image of.*REDIS_IMAGE/);

  const after = await containers();
  expect(after).toEqual({ ...before, redis: after.redis });
  const [redis = ''] = after.redis ?? [];
  const image = await inspect(redis, '{{.Image}}');
  expect(image).not.toBe(former);
  expect(await inspect(image, '{{.Config.Labels.published}}')).toBe('second');
  expect(await builds()).toBe('');
  expect(await unnamed()).not.toContain(former);
  expect(await unnamed()).toContain(foreign);
  await docker('rmi', foreign);
  expect(await write()).toBe(count + 1);
});

it('goes on with its count, and replaces nothing, when its folder has another name or is entered by a link', async () => {
  const count = await write();
  const before = await containers();
  await rename(clone, join(parent, 'renamed'));
  await symlink('renamed', clone);
  await stack('up');
  expect(await containers()).toEqual(before);
  await run('./stack', ['up'], { cwd: join(parent, 'renamed'), env: env(), maxBuffer: 2 ** 24 });
  expect(await containers()).toEqual(before);
  expect(await write()).toBe(count + 1);
});

it("finds the stack ready, whatever proxies Docker's client gives to its containers", async () => {
  // Nothing listens there.
  const proxies = { default: { httpProxy: 'http://127.0.0.1:9', httpsProxy: 'http://127.0.0.1:9' } };
  await mkdir(join(parent, 'docker'));
  await writeFile(join(parent, 'docker', 'config.json'), JSON.stringify({ proxies }));
  const settings = { ...env(), DOCKER_CONFIG: join(parent, 'docker') };
  // A container keeps those of its making.
  await stack('down');
  await run(join(parent, 'bin', 'stack'), ['up'], { env: settings, maxBuffer: 2 ** 24 });
  const [nginx = ''] = (await containers()).nginx ?? [];
  expect(await inspect(nginx, '{{json .Config.Env}}')).toContain('"http_proxy=http://127.0.0.1:9"');
  await stack('down');
  await stack('up');
});

it('asks for room on the disk only when it has to pull or build', async () => {
  await mkdir(join(parent, 'full'));
  await writeFile(join(parent, 'full', 'df'), "#!/bin/sh\nprintf 'Filesystem\\nfull 1 1 100 1 /\\n'\n", {
    mode: 0o755,
  });
  const full = (settings: NodeJS.ProcessEnv) =>
    run(join(parent, 'bin', 'stack'), ['up'], {
      env: { ...env(), ...settings, PATH: `${join(parent, 'full')}:${process.env.PATH}` },
      maxBuffer: 2 ** 24,
    });
  await full({});
  await expect(full({ NGINX_IMAGE: '127.0.0.1:1/nginx' })).rejects.toMatchObject({
    stderr: expect.stringMatching(/^stack: 100 MB are free on the disk of .*, this needs 3000: free some/),
  });
  await expect(full({ COMPOSE_PROJECT_NAME: `${PROJECT}-other` })).rejects.toMatchObject({
    stderr: expect.stringMatching(/^stack: 100 MB are free/),
  });
});
