/** One fault of each kind on three nodes; `./stack swarm test` causes all of them. */
import { mkdtemp, mkdtempDisposable, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../support/faults.ts';
import { Nodes } from '../../support/nodes.ts';
import { pair } from '../../support/own-site.ts';
import { startRegistry } from '../../support/registry.ts';
import { handshake, NAME, Visitor } from '../../support/tls-client.ts';
import { certificate, startTlsPostgres, startTlsRedis } from '../../support/tls-stores.ts';
import { blame, runFault } from './fault.ts';
import { FAULTS } from './faults.ts';

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
  const single = { SWARM_POSTGRES: 'single' };
  let swarm: Nodes;
  let first: string;
  let backups: string;
  beforeAll(async () => {
    swarm = await Nodes.boot();
    [first = ''] = swarm.addresses;
    backups = await mkdtemp(join(tmpdir(), 'backups-'));
    await swarm.does('deploy', single);
  });
  afterAll(async () => {
    await rm(backups, { recursive: true });
    await swarm[Symbol.asyncDispose]();
  });

  /** Makes a backup, and returns its file. */
  const backup = async (kind: 'base' | 'dump', settings?: NodeJS.ProcessEnv) => {
    await swarm.does(`backup ${kind === 'dump' ? '--dump ' : ''}${backups}`, settings);
    const files = (await readdir(backups)).filter((name) => name.startsWith(kind)).toSorted();
    return join(backups, files.at(-1) ?? '');
  };

  it('counts the visits to all nodes in one row', async () => {
    const numbers = [];
    for (const address of [...swarm.addresses, ...swarm.addresses]) numbers.push(await visit(address));
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('brings back a dump of one Postgres', async () => {
    const dump = await backup('dump', single);
    const counted = await visit(first);
    await swarm.does(`restore ${dump}`, single);
    expect(await visit(first)).toBe(counted);
  });

  it('moves to three Postgres with other passwords by a base backup, though the restore is cut off', async () => {
    const base = await backup('base', single);
    const counted = await visit(first);
    expect((await swarm.stack('deploy')).stderr).toContain(
      "SWARM_POSTGRES is 'three', and the data is that of 'single'.",
    );
    await swarm.does('down --volumes', single);
    await swarm.does('deploy');
    expect(await visit(first)).toBe(1);
    const restore = swarm.begin(`restore ${base}`);
    await restore.says('Starting Postgres');
    await restore.crash();
    await restore.end;
    const refused = `a restore was cut off: call it again. ./stack swarm restore ${base}`;
    // The lock ends within a second of its holder.
    await until(async () => (await swarm.stack('deploy')).stderr.includes(refused));
    await swarm.does(`restore ${base}`);
    expect(await visit(first)).toBe(counted);
    expect(await swarm.sql('SELECT current_database(), visitor_count FROM visitors')).toBe(
      `linode|${counted}`,
    );
  });

  it('brings back a dump of three Postgres', async () => {
    const dump = await backup('dump');
    const counted = await visit(first);
    await swarm.does(`restore ${dump}`);
    expect(await visit(first)).toBe(counted);
  });

  it('asks no authority for a certificate', async () => {
    const { stderr } = await swarm.stack('deploy', { HTTPS_DOMAINS: NAME });
    expect(stderr).toContain('HTTPS_DOMAINS is set, and a Swarm asks no authority');
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

  it('counts in stores elsewhere, by HTTPS, with images from a private registry', async () => {
    const { cert, private: key } = await certificate(swarm.here);
    const files = { 'ca.pem': cert, 'key.pem': key };
    await using redis = await startTlsRedis(files);
    await using postgres = await startTlsPostgres(files, '-c ssl=on');
    await using registry = await startRegistry(swarm.here);
    await using directory = await mkdtempDisposable(join(tmpdir(), 'elsewhere-'));
    const write = async (name: string, content: string) => {
      await writeFile(join(directory.path, name), content);
      return join(directory.path, name);
    };
    const elsewhere = (url: string) => url.replace('localhost', swarm.here);
    const own = await pair(NAME);
    const settings = {
      SWARM_REGISTRY: registry.name,
      DOCKER_CONFIG: registry.login,
      SWARM_POSTGRES: 'external',
      SWARM_DATABASE_URL_FILE: await write(
        'postgres',
        `${elsewhere(postgres.url)}?sslmode=verify-full&sslrootcert=system`,
      ),
      SWARM_REDIS_URL_FILE: await write('redis', elsewhere(redis.url)),
      SWARM_CA_FILE: await write('ca.pem', cert),
      HTTPS_DOMAINS: NAME,
      HTTPS_CERT_FILE: await write('cert.pem', own.cert),
      HTTPS_KEY_FILE: await write('key.pem', own.key),
    };
    await swarm.does('down --volumes');
    await swarm.does('deploy', settings);
    for (const [index, node] of swarm.nodes.entries()) {
      using visitor = new Visitor('443', own.cert);
      const { text } = await visitor.get('/', { host: node.port.address });
      expect(text).toContain(` ${index + 1} time(s)`);
    }
    const redirect = await fetch(first, { redirect: 'manual' });
    expect(redirect.headers.get('location')).toBe(`${first.replace('http:', 'https:')}/`);

    // Another certificate is an update, and a bad one is none.
    const renewed = await pair(NAME);
    await write('cert.pem', renewed.cert);
    expect((await swarm.stack('deploy', settings)).stderr).toContain('are no pair');
    await write('key.pem', renewed.key);
    await swarm.does('deploy', settings);
    for (const node of swarm.nodes) {
      const { certificate } = await handshake('443', { host: node.port.address });
      expect(certificate?.toString().trim()).toBe(renewed.cert.trim());
    }
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
