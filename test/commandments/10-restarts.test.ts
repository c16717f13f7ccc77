import { expect, it } from 'vitest';
import { crash, until } from '../support/faults.ts';
import { container, SERVICES, stack, write } from '../support/services.ts';
import { docker, inspect } from '../support/stack.ts';

const restarts = async (id: string) => Number(await inspect(id, '{{.RestartCount}}'));

it.each(SERVICES)('%s restarts after every crash', async (service) => {
  const id = await container(service);
  expect(await inspect(id, '{{.HostConfig.RestartPolicy.Name}}')).toBe('always');

  const before = await restarts(id);
  for (const crashes of [1, 2]) {
    const heal = await crash(id);
    await until(async () => (await restarts(id)) === before + crashes);
    await heal();
  }
  await write();
});

// test/engine has the crashes of the engine itself, which Docker takes for a stop by hand as well.
it('nginx restarts after a crash although a signal made it reload before', async () => {
  const id = await container('nginx');
  const before = await restarts(id);
  await docker('kill', '--signal=HUP', id);
  const heal = await crash(id);
  await until(async () => (await restarts(id)) === before + 1);
  await heal();
  await write();
});

it('passwords has done its work and ended, and is not started again', async () => {
  const id = (await stack.compose('ps', '--all', '--quiet', 'passwords')).trim();
  expect(
    await inspect(
      id,
      '{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}} {{.HostConfig.RestartPolicy.Name}}',
    ),
  ).toBe('exited 0 0 no');
});
