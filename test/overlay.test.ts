/** What the settings lay over docker-compose.yml, as `./stack` reads them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ended } from './support/checkout.ts';
import { ROOT } from './support/this-checkout.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'overlay-'));
});
afterEach(() => rm(directory, { recursive: true }));

/** The files that Compose gets, in a folder with this .env. */
async function files(dotenv: string, env: NodeJS.ProcessEnv = {}) {
  await writeFile(join(directory, '.env'), dotenv);
  const script = `. "$0/host/lib.sh"; echo "\${COMPOSE_FILE-as without}"`;
  const { PATH } = process.env;
  return ended('sh', ['-e', '-c', script, ROOT], directory, { PATH, ...env });
}

const BASE = 'docker-compose.yml';
const LAID = 'compose/observability.yml';
const ACME = 'compose/https.yml:compose/https-acme.yml';
const OWN = 'compose/https.yml:compose/https-own.yml';

it.each<[string, string, NodeJS.ProcessEnv, string]>([
  ['it is not set', '', {}, 'as without'],
  ['it is off', 'OBSERVABILITY=off\n', {}, 'as without'],
  ['it is on', 'OBSERVABILITY=on\n', {}, `${BASE}:${LAID}`],
  ['the environment says on', '', { OBSERVABILITY: 'on' }, `${BASE}:${LAID}`],
  ['the environment says off', 'OBSERVABILITY=on\n', { OBSERVABILITY: 'off' }, 'as without'],
  ['the environment empties it', 'OBSERVABILITY=on\n', { OBSERVABILITY: '' }, 'as without'],
  [
    'other files are laid over',
    `COMPOSE_FILE=${BASE}:b.yml\nOBSERVABILITY=on\n`,
    {},
    `${BASE}:b.yml:${LAID}`,
  ],
  ['there are names for HTTPS', 'HTTPS_DOMAINS="example.com, a.example.com" # mine\n', {}, `${BASE}:${ACME}`],
  [
    'a certificate is there too',
    'HTTPS_DOMAINS=example.com\nHTTPS_CERT_FILE=cert.pem\n',
    {},
    `${BASE}:${OWN}`,
  ],
  ['all is set', 'HTTPS_DOMAINS=example.com\nOBSERVABILITY=on\n', {}, `${BASE}:${ACME}:${LAID}`],
  ['HTTPS is named by hand', `COMPOSE_FILE=${BASE}:${OWN}\nHTTPS_DOMAINS=example.com\n`, {}, 'as without'],
  ['its own is named by hand', 'OBSERVABILITY=on\n', { COMPOSE_FILE: `${BASE}:${LAID}` }, `${BASE}:${LAID}`],
])('Compose gets the right files when %s', async (_, dotenv, env, expected) => {
  expect(await files(dotenv, env)).toEqual({ code: 0, stdout: `${expected}\n`, stderr: '' });
});

it('a value that is neither on nor off is refused, with what can be given', async () => {
  const { code, stderr } = await files('OBSERVABILITY=yes\n');
  expect([code, stderr]).toEqual([1, "stack: OBSERVABILITY is 'yes': give on or off.\n"]);
});
