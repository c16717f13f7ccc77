/** An application that calls others: a network that leads out, for web alone. Off by default: hardening/networks.test.ts */
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { subject } from '../subject.ts';
import { hasDefaultRoute, outside, reaches } from '../support/reach.ts';
import { Stack } from '../support/stack.ts';

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
  expect(await reaches(stack, 'web', outside(), Number(stack.port))).toBe(true);
  for (const store of ['redis', 'postgres']) expect(await hasDefaultRoute(stack, store)).toBe(false);
  await subject.write(stack.address);
});
