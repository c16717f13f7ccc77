import { readdir, readFile, readlink } from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { subject } from '../subject.ts';
import { crash, until } from '../support/faults.ts';
import { container, processes, SERVICES, stack, write } from '../support/services.ts';
import { docker } from '../support/stack.ts';
import { Writers } from '../support/writers.ts';

describe.each(SERVICES)('%s', (service) => {
  it('is heard in docker compose logs, on stdout alone', async () => {
    for (const id of await stack.containers(service)) {
      const { stdout, stderr } = await docker('logs', id);
      expect(stdout).not.toBe('');
      expect(stderr).toBe('');
    }
    expect(await stack.compose('logs', '--no-color', service)).toMatch(
      new RegExp(`^${service}-\\d+ +\\| `, 'm'),
    );
  });

  it('has no file open to write to but on its volume of data', async () => {
    await write();
    const open = await Promise.all(
      (await processes(await container(service))).map(({ pid }) => writtenFiles(pid)),
    );
    const outside = open
      .flat()
      .filter((path) => !(service === 'postgres' && path.startsWith('/var/lib/postgresql/')));
    // NGINX's pid file is closed once it is written.
    expect(outside).toEqual([]);
    expect(open.flat().filter((path) => /log$/.test(path))).toEqual([]);
  });
});

it.each(['web', 'nginx'])('every line of %s is a JSON object, also while a replica dies', async (service) => {
  const since = new Date().toISOString();
  const load = new Writers(stack.address, 8);
  await until(() => load.sent > 50);
  const heal = await crash(await container('web'));
  await heal();
  await load.stop();
  // Parsed as JSON, or this throws. Docker writes them a moment later.
  await vi.waitFor(async () => {
    const lines = await stack.logs(service, since);
    if (service === 'nginx') expect(lines.filter(({ uri }) => uri === subject.path)).toHaveLength(load.sent);
    else expect(lines).toContainEqual(expect.objectContaining({ msg: 'listening' }));
  }, 10_000);
  for (const id of await stack.containers(service)) expect((await docker('logs', id)).stderr).toBe('');
});

it('the lines of nginx and web about one request have one name', async () => {
  const since = new Date().toISOString();
  const { headers, status } = await subject.logged(stack.address);
  const id = headers.get('x-request-id');
  expect(id).toMatch(/^[0-9a-f]{32}$/);
  await vi.waitFor(async () => {
    expect(await stack.logs('nginx', since)).toContainEqual(
      expect.objectContaining({ request_id: id, status }),
    );
    const line = { requestId: id, msg: subject.logs };
    expect(await stack.logs('web', since)).toContainEqual(expect.objectContaining(line));
  }, 10_000);
});

/** The regular files that a process has open to write to, as it names them. */
async function writtenFiles(pid: number): Promise<string[]> {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const paths: string[] = [];
  for (const descriptor of descriptors) {
    const path = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
    const info = await readFile(`/proc/${pid}/fdinfo/${descriptor}`, 'utf8').catch(() => '');
    // The last octal digit of the flags: 0 is for reading alone.
    const writes = /^flags:\s*\d*[12]$/m.test(info);
    if (writes && path.startsWith('/') && !path.startsWith('/dev/')) paths.push(path);
  }
  return paths;
}
