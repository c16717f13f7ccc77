/** `./stack up` as far as its base images, in a copy of this checkout: settings, Docker's contexts, registries. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Checkout, type Ended, ended } from '../support/checkout.ts';
import { docker } from '../support/stack.ts';
import { CHECKOUT, freePort } from '../support/this-checkout.ts';

const NAMES = ['NODE_IMAGE', 'NGINX_IMAGE', 'REDIS_IMAGE', 'POSTGRES_IMAGE'] as const;
type Images = Partial<Record<(typeof NAMES)[number], string>>;

/** The images that are here, as test/run.ts found them, but for these. */
const here = (...absent: string[]) =>
  Object.fromEntries(NAMES.filter((name) => !absent.includes(name)).map((name) => [name, process.env[name]]));

let checkout: Checkout;
/** Comes first in PATH, for fakes. */
let bin: string;
/** docker-compose.yml as it is. */
let compose: string;

const file = (name: string) => join(checkout.path, name);
const script = async (path: string, ...lines: string[]) => {
  await writeFile(path, ['#!/bin/sh', ...lines, ''].join('\n'));
  await chmod(path, 0o755);
};

beforeAll(async () => {
  checkout = await Checkout.copy();
  compose = await readFile(file('docker-compose.yml'), 'utf8');
  bin = file('fakes');
  await mkdir(bin);
  // What these tests are about comes before.
  await script(file('host/up.sh'), 'echo STARTED >&2');
  await script(file('host/base-images/build.sh'), 'echo BUILT STAND-INS >&2');
});
afterAll(() => checkout[Symbol.asyncDispose]());
beforeEach(async () => {
  await writeFile(file('docker-compose.yml'), compose);
  await writeFile(file('.env'), '');
});

/** Runs `./stack` with no settings but these: .env names the others. */
async function stack(task: string, env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const none = Object.fromEntries(NAMES.map((name) => [name, undefined]));
  const PATH = `${bin}:${process.env.PATH}`;
  return ended('./stack', [task], checkout.path, { ...process.env, ...none, PATH, ...env });
}

/** Makes these the defaults of docker-compose.yml. */
async function defaults(images: Images): Promise<void> {
  let text = compose;
  for (const [name, image] of Object.entries(images))
    text = text.replace(new RegExp(`(\\$\\{${name}:-)[^}]*`), `$1${image}`);
  await writeFile(file('docker-compose.yml'), text);
}

describe('what Compose reads of .env, ./stack reads', () => {
  it('quotes, comments, export, spaces, line ends of Windows, variables, and the last of two lines', async () => {
    const registry = `127.0.0.1:${await freePort()}`;
    const files = [
      [
        `NODE_IMAGE=${registry}/node # mine`,
        `NGINX_IMAGE="${registry}/nginx"`,
        `REDIS_IMAGE='${registry}/redis'`,
        `export POSTGRES_IMAGE=${registry}/postgres`,
      ].join('\n'),
      [
        'HTTP_PORT=8080 # mine',
        `  NODE_IMAGE = ${registry}/node  `,
        `REGISTRY=${registry}`,
        // biome-ignore lint/suspicious/noTemplateCurlyInString: Compose's own.
        'NGINX_IMAGE=${REGISTRY}/nginx',
        'REDIS_IMAGE=other',
        `REDIS_IMAGE=${registry}/redis`,
        // biome-ignore lint/suspicious/noTemplateCurlyInString: Compose's own.
        'POSTGRES_IMAGE=${ELSEWHERE:-$REGISTRY}/postgres',
      ].join('\r\n'),
    ];
    for (const text of files) {
      await writeFile(file('.env'), text);
      const { code, stderr } = await stack('up');
      for (const name of ['node', 'nginx', 'redis', 'postgres'])
        expect(stderr).toContain(`Pulling ${registry}/${name} `);
      expect(code).toBe(1);
    }
  });

  it('and what Compose does not, it refuses in the words of Compose', async () => {
    await writeFile(file('.env'), 'HTTP_PORT=eighty\n');
    expect(await stack('up')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^stack: .*hostPort: eighty\n$/),
    });
    await writeFile(file('.env'), 'HTTP PORT=80\n');
    expect(await stack('ps')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^stack: .*\.env: line 1/),
    });
  });
});

describe('an engine that does not answer, asked by the real client', () => {
  it.each([
    ['DOCKER_HOST', 'tcp://127.0.0.1:1'],
    ['DOCKER_HOST', 'unix:///nowhere.sock'],
    ['DOCKER_CONTEXT', 'nowhere'],
  ])('%s=%s', async (variable, value) => {
    for (const task of ['up', 'ps']) {
      const { code, stderr } = await stack(task, { [variable]: value });
      expect(stderr).toMatch(new RegExp(`^stack: no engine answers at ${variable}=${value}: .*unset.*\n$`));
      expect(code).toBe(1);
    }
  });

  it('a context that is in use', async () => {
    await using config = await mkdtempDisposable(join(tmpdir(), 'docker-config-'));
    const env = { ...process.env, DOCKER_CONFIG: config.path };
    await ended('docker', ['context', 'create', 'away', '--docker', 'host=tcp://127.0.0.1:1'], '/', env);
    await ended('docker', ['context', 'use', 'away'], '/', env);
    const { code, stderr } = await stack('up', { DOCKER_CONFIG: config.path });
    expect(stderr).toMatch(
      /^stack: no engine answers in Docker's context 'away': .*docker context use default.*\n$/,
    );
    expect(code).toBe(1);
  });
});

describe('a registry', () => {
  /** What it answers for each image: a status and, of the registry's own errors, a code and a message. */
  const ANSWERS: Record<string, [status: number, code: string, message: string]> = {
    unauthorized: [401, 'UNAUTHORIZED', 'authentication required'],
    denied: [403, 'DENIED', 'requested access to the resource is denied'],
    limited: [429, 'TOOMANYREQUESTS', 'You have reached your pull rate limit'],
    broken: [500, 'UNKNOWN', 'internal error'],
    mistyped: [404, 'MANIFEST_UNKNOWN', 'manifest unknown'],
  };
  const server = createServer(({ url = '' }, response) => {
    const name = /^\/v2\/([^/]+)/.exec(url)?.[1];
    // Who may ask is to be learnt from a server that does not answer.
    if (name === 'token') {
      response.setHeader('WWW-Authenticate', 'Bearer realm="http://127.0.0.1:1/token",service="test"');
      response.writeHead(401).end('{}');
      return;
    }
    const [status, code, message] = name
      ? (ANSWERS[name] ?? [404, 'NAME_UNKNOWN', 'unknown'])
      : [200, '', ''];
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(name ? { errors: [{ code, message }] } : {}));
  });
  /** It, and an address of this machine where nothing answers. */
  let answering: string;
  let silent: string;

  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    answering = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    silent = `127.0.0.1:${await freePort()}`;
    // Root on a machine of the Debian family, where stand-ins can be built.
    await script(join(bin, 'id'), 'echo 0');
    await script(join(bin, 'apt-get'), 'exit 9');
  });
  afterAll(() => server.close());

  const settings = (text = '# mine\nLOG_LEVEL=info') => writeFile(file('.env'), text);
  const kept = async (text = '# mine\nLOG_LEVEL=info') =>
    expect(await readFile(file('.env'), 'utf8')).toBe(text);

  it.each([
    ['unauthorized', /unauthorized|401/],
    ['denied', /denied|403/],
    ['limited', /toomanyrequests|429/],
    ['broken', /500 Internal Server Error/],
    ['mistyped', /manifest unknown|not found/],
    ['token', /unauthorized|failed to authorize/],
  ])(
    'that refuses an image ends up in its words, with the remedy, and is not replaced: %s',
    async (name, words) => {
      await settings();
      for (const chosen of [true, false]) {
        const images = { REDIS_IMAGE: `${answering}/${name}:1` };
        if (!chosen) await defaults(images);
        const { code, stderr } = await stack('up', { ...here('REDIS_IMAGE'), ...(chosen ? images : {}) });
        expect(stderr).toMatch(words);
        expect(stderr).toMatch(/\nstack: the image of REDIS_IMAGE cannot be pulled, .*docker login.*\n$/);
        expect(code).toBe(1);
        await kept();
      }
    },
  );

  it('that refuses is asked for every image that is not here', async () => {
    await settings();
    await defaults({ NODE_IMAGE: `${answering}/limited`, REDIS_IMAGE: `${answering}/mistyped` });
    const { code, stderr } = await stack('up', here('NODE_IMAGE', 'REDIS_IMAGE'));
    expect(stderr).toContain('the image of NODE_IMAGE REDIS_IMAGE cannot be pulled');
    expect(code).toBe(1);
    await kept();
  });

  it('that answers for one image is not replaced for another, where nothing answers', async () => {
    await settings();
    await defaults({ NODE_IMAGE: `${answering}/broken`, REDIS_IMAGE: `${silent}/redis` });
    const { code, stderr } = await stack('up', here('NODE_IMAGE', 'REDIS_IMAGE'));
    expect(stderr).toContain('the image of NODE_IMAGE cannot be pulled');
    expect(code).toBe(1);
    await kept();
  });

  it('that somebody chose is not replaced, though nothing answers', async () => {
    const text = `REDIS_IMAGE=${silent}/redis # mine\n`;
    await settings(text);
    const { code, stderr } = await stack('up', here('REDIS_IMAGE'));
    expect(stderr).toContain('connection refused');
    expect(stderr).toContain('stack: no registry answers for REDIS_IMAGE, see above');
    expect(code).toBe(1);
    await kept(text);
  });

  it.each([
    ['refuses connections', () => silent],
    ['has a name that is not known', () => 'registry.invalid'],
  ])(
    'that nowhere answers is replaced by stand-ins, which .env names and explains: it %s',
    async (_, where) => {
      await settings();
      const images = Object.fromEntries(NAMES.map((name) => [name, `${where()}/${randomUUID()}`]));
      await defaults(images);
      const { code, stderr } = await stack('up');
      expect(code).toBe(0);
      for (const image of Object.values(images)) expect(stderr).toContain(`Pulling ${image} `);
      expect(stderr).toMatch(/No image registry answers here[\s\S]*BUILT STAND-INS\nSTARTED/);
      const text = await readFile(file('.env'), 'utf8');
      expect(text).toMatch(
        /^# mine\nLOG_LEVEL=info\n# Written by .\/stack up, since no image registry answered\..*\n/,
      );
      for (const name of NAMES)
        expect(text).toContain(`\n${name}=stand-in/${name.replace('_IMAGE', '').toLowerCase()}\n`);
      // The second time it asks nobody, and looks after the stand-ins.
      const again = await stack('up');
      expect(again.stderr).not.toContain('Pulling');
      expect(again.stderr).toMatch(/BUILT STAND-INS\nSTARTED/);
      await kept(text);
    },
  );

  it('that nowhere answers ends up where no stand-ins can be built', async () => {
    await settings();
    await script(join(bin, 'id'), 'echo 1000');
    await defaults({ REDIS_IMAGE: `${silent}/redis` });
    const { code, stderr } = await stack('up', here('REDIS_IMAGE'));
    expect(stderr).toMatch(
      /connection refused\nstack: no image registry answers, see above: connect to one, .*\n$/,
    );
    expect(code).toBe(1);
    await kept();
    await script(join(bin, 'id'), 'echo 0');
  });
});

describe('a stack that was called after its folder, before it had a name of its own', () => {
  const former = 'itsacheckout';
  const name = `former-name-test-${CHECKOUT}`;

  it('is not left behind: what goes on with its count, and what gives it up, is said', async () => {
    await writeFile(file('docker-compose.yml'), compose.replace(/^name: .*$/m, `name: ${name}`));
    const volumes = [`${former}_data`, `${former}_web-password`];
    expect((await ended('docker', ['volume', 'inspect', ...volumes], '/')).code).toBe(1);
    expect(await stack('up', here())).toMatchObject({ code: 0 });
    for (const volume of volumes) await docker('volume', 'create', volume);
    try {
      for (const task of ['up', 'ps', 'down']) {
        const { code, stderr } = await stack(task, here());
        expect(stderr).toContain(`echo COMPOSE_PROJECT_NAME=${former} >> .env\n`);
        expect(code).toBe(1);
      }
      await writeFile(file('.env'), `COMPOSE_PROJECT_NAME=${former}\n`);
      expect(await stack('up', here())).toMatchObject({ code: 0 });
      // Another stack of this folder, as the tests start them.
      await writeFile(file('.env'), '');
      expect(await stack('up', { ...here(), COMPOSE_PROJECT_NAME: `${name}-other` })).toMatchObject({
        code: 0,
      });
      // One that has data under its own name needs no other.
      await docker('volume', 'create', `${name}_data`);
      expect(await stack('up', here())).toMatchObject({ code: 0 });
    } finally {
      await docker('volume', 'rm', '--force', ...volumes, `${name}_data`);
    }
  });
});
