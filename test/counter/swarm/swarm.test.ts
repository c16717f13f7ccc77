/** One fault of each kind on three nodes; `./stack swarm test` causes all of them. */
import { mkdtempDisposable, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../support/faults.ts';
import { Nodes } from '../../support/nodes.ts';
import { certificate, startTlsPostgres, startTlsRedis } from '../../support/tls-stores.ts';
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

  it('brings a backup back though the restore is cut off, and deploys nothing until then', async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'backups-'));
    await swarm.does(`backup ${directory.path}`);
    const [first = ''] = swarm.addresses;
    const counted = await visit(first);
    await visit(first);
    const [file = ''] = await readdir(directory.path);
    const restore = `restore ${join(directory.path, file)}`;
    const task = swarm.begin(restore);
    await task.says('Starting Postgres');
    await task.crash();
    await task.end;
    // The lock goes with its holder, within a second.
    await until(async () => !(await swarm.stack('deploy')).stderr.includes('is under way'));
    expect((await swarm.stack('deploy')).stderr).toContain(
      `a restore was cut off: call it again. ./stack swarm ${restore}`,
    );
    await swarm.does(restore);
    expect(await visit(first)).toBe(counted);
  });

  it('brings a dump back', async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'backups-'));
    const [first = ''] = swarm.addresses;
    await swarm.does(`backup --dump ${directory.path}`);
    const counted = await visit(first);
    const [file = ''] = await readdir(directory.path);
    await swarm.does(`restore ${join(directory.path, file)}`);
    expect(await visit(first)).toBe(counted);
  });

  it('makes one change at a time', async () => {
    const node = await swarm.manager();
    const image = await node.docker('image', 'ls', '--quiet', `${swarm.name}-nginx`);
    const [lock, id] = [`${swarm.name}-lock`, image.split('\n')[0] ?? ''];
    await node.docker(
      'run',
      '--detach',
      '--name',
      lock,
      '--label',
      'stack.task=A restore',
      '--entrypoint',
      'sleep',
      id,
      '300',
    );
    const { code, stderr } = await swarm.stack('deploy');
    await node.docker('rm', '--force', lock);
    expect(stderr).toContain('stack: A restore is under way: wait for its end.');
    expect(code).toBe(1);
  });

  it.each(FAULTS.filter(({ name }) => IN_EVERY_RUN.includes(name)))('serves on: $name', async (fault) => {
    expect(blame(fault, await runFault(swarm, fault))).toEqual([]);
  });

  it('moves from three Postgres to one by a dump, and brings back a backup of it', async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'backups-'));
    const [first = ''] = swarm.addresses;
    const written = async (kind: string) =>
      join(directory.path, (await readdir(directory.path)).find((name) => name.startsWith(kind)) ?? kind);
    const counted = await visit(first);
    await swarm.does(`backup --dump ${directory.path}`);
    const settings = { SWARM_POSTGRES: 'single' };
    expect((await swarm.stack('deploy', settings)).stderr).toContain("the data is that of 'three'");
    await swarm.does('down --volumes');
    await swarm.does('deploy', settings);
    await swarm.does(`restore ${await written('dump')}`, settings);
    expect(await visit(first)).toBe(counted + 1);
    await swarm.does(`backup ${directory.path}`, settings);
    expect(await visit(first)).toBe(counted + 2);
    await swarm.does(`restore ${await written('base')}`, settings);
    expect(await visit(first)).toBe(counted + 2);
    await swarm.does('down --volumes', settings);
  });

  it('counts in stores elsewhere, whose certificates it verifies', async () => {
    const { cert, private: key } = await certificate(swarm.here);
    const files = { 'ca.pem': cert, 'key.pem': key };
    await using redis = await startTlsRedis(files);
    await using postgres = await startTlsPostgres(files, '-c ssl=on');
    await using directory = await mkdtempDisposable(join(tmpdir(), 'urls-'));
    const write = async (name: string, content: string) => {
      await writeFile(join(directory.path, name), content);
      return join(directory.path, name);
    };
    const elsewhere = (url: string) => url.replace('localhost', swarm.here);
    await swarm.does('deploy', {
      SWARM_POSTGRES: 'external',
      SWARM_DATABASE_URL_FILE: await write(
        'postgres',
        `${elsewhere(postgres.url)}?sslmode=verify-full&sslrootcert=system`,
      ),
      SWARM_REDIS_URL_FILE: await write('redis', elsewhere(redis.url)),
      SWARM_CA_FILE: await write('ca.pem', cert),
    });
    const [first = ''] = swarm.addresses;
    expect(await visit(first)).toBe(1);
    const ready = await swarm.inside('web', '/usr/local/bin/node', 'healthcheck.cjs', '/readyz');
    expect(JSON.parse(ready)).toMatchObject({
      status: 'ok',
      sequencer: 'redis',
      redis: 'up',
      postgres: 'up',
    });
  });

  it('leaves nothing behind', async () => {
    await swarm.does('down --volumes');
    for (const node of swarm.nodes) {
      expect(await node.docker('ps', '--all', '--quiet')).toBe('');
      expect(await node.docker('volume', 'ls', '--quiet')).toBe('');
      expect(await node.docker('secret', 'ls', '--quiet')).toBe('');
      expect(await node.docker('config', 'ls', '--quiet')).toBe('');
    }
  });

  it('knows the faults that every run has', () => {
    expect(FAULTS.map(({ name }) => name)).toEqual(expect.arrayContaining(IN_EVERY_RUN));
  });
});
