import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { subject } from '../../subject.ts';
import { container, containers, healthy, processes, stack, write } from '../../support/services.ts';
import { attempt, docker, inspect } from '../../support/stack.ts';
import { pid, script } from './inside.ts';

describe('secrets', () => {
  const secret = async (user: string) =>
    (await docker('exec', await container('postgres'), 'cat', `/run/secrets/${user}/password`)).stdout.trim();

  it('web reads its own password, and has not that of the superuser', async () => {
    const read = (user: string) =>
      script(`console.log(require('node:fs').readFileSync('/run/secrets/${user}/password', 'utf8'))`);
    expect((await read('web')).output.trim()).toBe(await secret('web'));
    expect((await read('postgres')).output).toContain('ENOENT');
  });

  it('the two passwords differ, and are long', async () => {
    const [web, postgres] = [await secret('web'), await secret('postgres')];
    expect(web).not.toBe(postgres);
    for (const password of [web, postgres]) expect(password).toMatch(/^[\w-]{32}$/);
  });

  it('no password is in what docker inspect says, in a log, in a list of processes, or in an image', async () => {
    await write();
    const secrets = [await secret('web'), await secret('postgres')];
    const ids = (await stack.compose('ps', '--all', '--quiet')).trim().split('\n');
    const images = await Promise.all(ids.map((id) => inspect(id, '{{.Image}}')));
    const said = [
      (await docker('inspect', ...ids, ...images)).stdout,
      await stack.compose('logs', '--no-color'),
      JSON.stringify(await Promise.all((await containers()).map(processes))),
      ...(await Promise.all(images.map(async (id) => (await docker('history', '--no-trunc', id)).stdout))),
    ].join('\n');
    expect(said).toContain('PGPASSWORD_FILE');
    for (const password of secrets) expect(said).not.toContain(password);

    // Every file of every container, volumes left out.
    const patterns = secrets.flatMap((password) => ['-e', password]).join(' ');
    const search = async (id: string, pattern: string) =>
      Number(
        (await attempt('sh', '-c', `docker export ${id} | grep --count --text --fixed-strings ${pattern}`))
          .output,
      );
    for (const id of ids) expect(await search(id, patterns)).toBe(0);
    // The search does find what is there.
    expect(await search(await container('web'), `'${subject.holds}'`)).toBeGreaterThan(0);
  });

  it('no process keeps a password in its environment, once the database is there', async () => {
    const secrets = [await secret('web'), await secret('postgres')];
    await stack.compose('restart', 'postgres');
    await healthy(await container('postgres'));
    for (const id of await containers()) {
      for (const { pid } of await processes(id)) {
        const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
        for (const password of secrets) expect(environment).not.toContain(password);
      }
    }
    expect(await readFile(`/proc/${await pid('web')}/environ`, 'utf8')).toContain('PGPASSWORD_FILE');
  });

  it('passwords, which runs as root, has no capability, no network and a root that it cannot write', async () => {
    const id = (await stack.compose('ps', '--all', '--quiet', 'passwords')).trim();
    const host = '{{.HostConfig.CapDrop}} {{.HostConfig.NetworkMode}} {{.HostConfig.ReadonlyRootfs}}';
    expect(await inspect(id, host)).toBe('[ALL] none true');
  });
});
