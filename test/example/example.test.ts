/** Another application on this stack, made by the commands of docs/make-it-yours.md, and tested by its own `./stack test`. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Checkout, ended } from '../support/checkout.ts';
import { CHECKOUT, freePort } from '../support/this-checkout.ts';

let checkout: Checkout;
let env: NodeJS.ProcessEnv;

/** The shell commands of the page, in their order. */
async function commands(): Promise<string[]> {
  const page = await readFile('docs/make-it-yours.md', 'utf8');
  return [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
}
const sh = (script: string) => ended('sh', ['-e', '-c', script], checkout.path, env);

beforeAll(async () => {
  checkout = await Checkout.copy();
  // Not this project's own Node, which npm puts first: the other application has to bring its own.
  const PATH = process.env.PATH?.split(':')
    .filter((folder) => !folder.includes('node_modules'))
    .join(':');
  const HTTP_PORT = String(await freePort());
  env = { ...process.env, PATH, COMPOSE_PROJECT_NAME: `example-${CHECKOUT}`, HTTP_PORT };
});
afterAll(async () => {
  await sh('docker compose down --volumes --rmi local');
  await checkout[Symbol.asyncDispose]();
});

it('is made by the commands of the page', async () => {
  const blocks = await commands();
  expect(blocks.at(-1)).toBe('./stack up\n./stack test\n');
  const { code, stderr } = await sh(blocks.slice(0, -1).join(''));
  expect([code, stderr]).toEqual([0, expect.any(String)]);
  // What knows the counter is gone.
  for (const task of ['chaos', 'machine', 'bench'])
    expect((await sh(`./stack ${task}`)).stderr).toContain(`there is no task '${task}'`);
});

it('comes up by ./stack up', async () => {
  const { code, stderr } = await sh('./stack up');
  expect([code, stderr]).toEqual([0, expect.stringContaining('The stack is up')]);
  const page = await fetch(`http://localhost:${env.HTTP_PORT}`);
  expect(await page.text()).toContain('<title>Notes</title>');
});

it('is backed up, and restored', async () => {
  const { code, stderr } = await sh(
    './stack backup ../backups && ./stack restore ../backups && ./stack restore --confirm',
  );
  expect([code, stderr]).toEqual([0, expect.stringContaining('was restored')]);
});

// What takes longest and knows nothing of the application is left to this project's own run.
it.each([
  ['unit tests', '--project unit'],
  [
    'own tests, and those that know most of an application',
    '--project stack notes 01-eph 02-disp 04-small 06-no-state hardening/users hardening/secrets',
  ],
])('passes its %s by ./stack test', async (_what, chosen) => {
  const { code, stdout, stderr } = await sh(`./stack test ${chosen}`);
  expect([code, `${stderr}${stdout}`.slice(-6000)]).toEqual([
    0,
    expect.stringMatching(/\n\d{2,} passed, 0 failed\s*$/),
  ]);
});
