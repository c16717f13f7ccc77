import { describe, expect, it } from 'vitest';
import { until } from '../support/faults.ts';
import { container, SERVICES, write } from '../support/services.ts';
import { attempt, docker, inspect } from '../support/stack.ts';

describe.each(SERVICES)('%s', (service) => {
  it('starts with no network at all: everything it needs is in its image', async () => {
    const id = await container(service);
    const [image = '', user = ''] = (await inspect(id, '{{.Image}} {{.Config.User}}')).split(' ');
    const env: string[] = JSON.parse(await inspect(id, '{{json .Config.Env}}'));
    const command: string[] = JSON.parse(await inspect(id, '{{json .Config.Cmd}}')) ?? [];
    const health: string[] = JSON.parse(await inspect(id, '{{json .Config.Healthcheck.Test}}'));
    const binds: string[] = JSON.parse(await inspect(id, '{{json .HostConfig.Binds}}')) ?? [];
    // A Postgres of its own: the stack's has the data.
    const secrets = binds.filter((bind) => bind.includes('password')).flatMap((bind) => ['--volume', bind]);
    const { stdout } = await docker(
      ...['run', '--detach', '--network', 'none', '--user', user, '--init', '--read-only', '--tmpfs', '/tmp'],
      ...env.flatMap((setting) => ['--env', setting]),
      ...[...secrets, image, ...command],
    );
    const offline = stdout.trim();
    try {
      await until(async () => (await attempt('docker', 'exec', offline, ...health.slice(1))).code === 0);
      expect(await inspect(offline, '{{.State.Status}} {{len .NetworkSettings.Networks}}')).toBe('running 1');
    } finally {
      await docker('rm', '--force', '--volumes', offline);
    }
  });
});

it('web works with no network but that to its stores and to nginx', async () => {
  const networks = Object.keys(
    JSON.parse(await inspect(await container('web'), '{{json .NetworkSettings.Networks}}')),
  );
  for (const network of networks) expect(await inspect(network, '{{.Internal}}')).toBe('true');
  await write();
});
