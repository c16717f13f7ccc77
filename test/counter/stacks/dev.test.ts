import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Checkout } from '../../support/checkout.ts';
import { until } from '../../support/faults.ts';
import { CHECKOUT, freePort } from '../../support/this-checkout.ts';

const run = promisify(execFile);

/** A checkout of its own, since its sources are changed. */
let checkout: Checkout;
let stack: ChildProcess;
let output = '';
let port: number;
const settings = () => ({
  ...process.env,
  COMPOSE_PROJECT_NAME: `dev-test-${CHECKOUT}`,
  HTTP_PORT: String(port),
  WEB_REPLICAS: '1',
});
const get = async (path = '/') => (await fetch(`http://localhost:${port}${path}`)).text();

async function edit(path: string, from: string, to: string): Promise<void> {
  const file = join(checkout.path, path);
  const source = await readFile(file, 'utf8');
  expect(source).toContain(from);
  await writeFile(file, source.replace(from, to));
}

beforeAll(async () => {
  checkout = await Checkout.copy();
  // A site's own settings, which would lay more over the stack.
  await appendFile(
    join(checkout.path, '.env'),
    '\nHTTPS_DOMAINS=site.test\nHTTPS_CERT_FILE=./cert.pem\nOBSERVABILITY=on\n',
  );
  port = await freePort();
  stack = spawn('./stack', ['dev'], {
    cwd: checkout.path,
    env: settings(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [stack.stdout, stack.stderr])
    stream?.setEncoding('utf8').on('data', (text) => (output += text));
  try {
    await vi.waitFor(async () => expect(await get()).toContain('Hello Linode!'), {
      timeout: 200_000,
      interval: 500,
    });
    await until(() => output.includes('Watch enabled'));
  } catch (error) {
    console.error(output);
    throw error;
  }
});

afterAll(async () => {
  if (stack.exitCode === null) {
    stack.kill('SIGINT');
    await once(stack, 'exit');
  }
  await run('docker', ['compose', 'down', '--volumes', '--rmi', 'local'], {
    cwd: checkout.path,
    env: settings(),
  });
  await checkout[Symbol.asyncDispose]();
});

it('it runs what is developed alone, without HTTPS and metrics that .env asks for', async () => {
  const { stdout } = await run('docker', [
    ...['ps', '--filter', `label=com.docker.compose.project=${settings().COMPOSE_PROJECT_NAME}`],
    ...['--format', '{{.Label "com.docker.compose.service"}}'],
  ]);
  expect(stdout.trim().split('\n').toSorted()).toEqual(['nginx', 'postgres', 'redis', 'web']);
  expect((await fetch(`http://localhost:${port}`, { redirect: 'manual' })).status).toBe(200);
});

it('a change of the application reaches the running stack', async () => {
  await edit('web/src/counter/routes.ts', 'Hello Linode!', 'Hello, developer!');
  await until(async () => (await get()).startsWith('Hello, developer!'));
  expect(await get()).toMatch(/^Hello, developer! {2}This page has been viewed \d+ time/);
});

it.each([
  [
    'locations.conf',
    'location = / {',
    'location = /new { return 200 "new"; }\nlocation = / {',
    '/new',
    'new',
  ],
  [
    'nginx.conf',
    'location = /healthz { return 404; }',
    'location = /healthz { return 200 "changed"; }',
    '/healthz',
    'changed',
  ],
])('a change of %s reaches the running stack', async (file, before, after, path, answer) => {
  await edit(`nginx/${file}`, before, after);
  await until(async () => (await get(path)) === answer);
  expect(await get(path)).toBe(answer);
});
