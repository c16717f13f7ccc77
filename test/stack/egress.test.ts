/** An application that calls others: a network that leads out, for web alone. Off by default: hardening.test.ts */
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { subject } from '../subject.ts';
import { attempt, Stack } from '../support/stack.ts';

// As docs/make-it-yours.md has them.
const LINES = `
services:
  web:
    networks:
      outside:
networks:
  outside:
`;

it('three lines give web a way out, redis and postgres none, and the stack works on', {
  timeout: 180_000,
}, async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'egress-'));
  const overlay = join(directory.path, 'egress.yml');
  await writeFile(overlay, LINES);
  await using stack = await Stack.start('egress', overlay);
  const outside = Object.entries(networkInterfaces())
    .filter(([name]) => !/^(br-|docker|veth)/.test(name))
    .flatMap(([, addresses = []]) => addresses)
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  const [web = ''] = await stack.containers('web');
  const connect = `require('node:net').connect(${stack.port}, '${outside}').setTimeout(1500, () => process.exit(1))
    .on('connect', () => process.exit(0)).on('error', () => process.exit(1))`;
  expect(await attempt('docker', 'exec', web, '/usr/local/bin/node', '-e', connect)).toMatchObject({
    code: 0,
  });
  // A destination of 00000000 is the default route.
  for (const store of ['redis', 'postgres']) {
    const routes = await stack.compose('exec', '-T', store, 'cat', '/proc/net/route');
    expect(routes).not.toMatch(/^\S+\t00000000\t/m);
  }
  await subject.write(stack.address);
});
