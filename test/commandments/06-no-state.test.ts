import { describe, expect, it } from 'vitest';
import { subject } from '../subject.ts';
import { container, count, SERVICES, stack, write } from '../support/services.ts';
import { docker, inspect } from '../support/stack.ts';

interface Mount {
  Type: string;
  Name?: string;
  Destination: string;
  RW: boolean;
}
const mounts = async (id: string): Promise<Mount[]> => JSON.parse(await inspect(id, '{{json .Mounts}}'));

/** Where Docker mounts something, it makes the directory, and those above it, if the image has none. */
async function mountPoints(id: string): Promise<string[]> {
  const tmpfs = Object.keys(JSON.parse(await inspect(id, '{{json .HostConfig.Tmpfs}}')) ?? {});
  const paths = [...(await mounts(id)).map(({ Destination }) => Destination), ...tmpfs, '/sbin/docker-init'];
  return paths.flatMap((path) =>
    path.split('/').map((_, depth, parts) => parts.slice(0, depth + 1).join('/')),
  );
}

describe.each(SERVICES)('%s', (service) => {
  it('has changed no file of its own after it was used', async () => {
    await write();
    await subject.logged(stack.address);
    const id = await container(service);
    const { stdout } = await docker('diff', id);
    const changed = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => line.slice(2));
    const made = await mountPoints(id);
    expect(changed.filter((path) => !made.includes(path))).toEqual([]);
  });

  it('can write to no volume but that of the data', async () => {
    const id = await container(service);
    const writable = (await mounts(id)).filter(({ RW, Type }) => RW && Type !== 'tmpfs');
    expect(writable.map(({ Destination }) => Destination)).toEqual(
      service === 'postgres' ? ['/var/lib/postgresql'] : [],
    );
  });

  it('leaves no volume behind that nobody named', async () => {
    const names = (await mounts(await container(service))).map(({ Name }) => Name).filter(Boolean);
    const named = (await stack.compose('config', '--volumes'))
      .trim()
      .split('\n')
      .map((name) => `${stack.project}_${name}`);
    expect(names.filter((name) => !named.includes(`${name}`))).toEqual([]);
  });
});

it('the count is in the volume of the data alone', async () => {
  await write();
  const before = await count();
  expect(before).toBeGreaterThan(0);
  await stack.compose('down');
  await stack.up();
  expect(await count()).toBe(before);
  // Without it the count begins again.
  await stack.compose('down', '--volumes');
  await stack.up();
  expect(await count()).toBe(0);
});
