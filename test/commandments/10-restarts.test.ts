import { expect, it } from 'vitest';
import { crash, until } from '../chaos/faults.ts';
import { container, SERVICES, stack, visit } from '../stack/services.ts';
import { inspect } from '../stack/stack.ts';

it.each(SERVICES)('%s restarts after every crash', async (service) => {
  const id = await container(service);
  expect(await inspect(id, '{{.HostConfig.RestartPolicy.Name}}')).toBe('unless-stopped');

  const restarts = Number(await inspect(id, '{{.RestartCount}}'));
  for (const crashes of [1, 2]) {
    const heal = await crash(id);
    await until(async () => Number(await inspect(id, '{{.RestartCount}}')) === restarts + crashes);
    await heal();
  }
  expect(await visit()).toBeGreaterThan(0);
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
