/** One fault of each kind on three nodes; `./stack swarm test` causes all of them. */
import { mkdtempDisposable, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Nodes } from '../../support/nodes.ts';
import { blame, FAULTS, runFault } from './faults.ts';

const IN_EVERY_RUN = [
  'an update to an image that never gets ready',
  'the primary and a replica of web are killed together',
  "the primary's node loses power for 30 s",
];

/** Visits once: the number. */
async function visit(address: string): Promise<number> {
  const page = await (await fetch(address)).text();
  return Number(/viewed (\d+)/.exec(page)?.[1] ?? Number.NaN);
}

describe('a Swarm of three nodes', () => {
  let swarm: Nodes;
  beforeAll(async () => {
    swarm = await Nodes.boot();
    await swarm.does('deploy');
  });
  afterAll(() => swarm[Symbol.asyncDispose]());

  it('counts the visits to all nodes in one row', async () => {
    const numbers = [];
    for (const address of [...swarm.addresses, ...swarm.addresses]) numbers.push(await visit(address));
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await swarm.sql('SELECT current_database(), visitor_count FROM visitors')).toBe('linode|6');
  });

  it('brings a backup back, and goes on from its number', async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'backups-'));
    await swarm.does(`backup ${directory.path}`);
    const [first = ''] = swarm.addresses;
    const counted = await visit(first);
    await visit(first);
    const [file = ''] = await readdir(directory.path);
    await swarm.does(`restore ${join(directory.path, file)}`);
    expect(await visit(first)).toBe(counted);
  });

  it.each(FAULTS.filter(({ name }) => IN_EVERY_RUN.includes(name)))('serves on: $name', async (fault) => {
    expect(blame(fault, await runFault(swarm, fault))).toEqual([]);
  });

  it('knows the faults that every run has', () => {
    expect(FAULTS.map(({ name }) => name)).toEqual(expect.arrayContaining(IN_EVERY_RUN));
  });
});
