import { expect, it } from 'vitest';
import { until } from '../support/faults.ts';
import { count, figure, healthy, SERVICES, stack, write } from '../support/services.ts';
import { docker, inspect } from '../support/stack.ts';

it.for(SERVICES)(
  '%s is destroyed and made anew, nothing else is touched, and the count goes on',
  async (service, context) => {
    const others = (
      await Promise.all(SERVICES.filter((other) => other !== service).map((other) => stack.containers(other)))
    ).flat();
    const started = () => Promise.all(others.map((id) => inspect(id, '{{.Id}} {{.State.StartedAt}}')));
    const startedBefore = await started();
    await write();
    const before = await count();
    const destroyed = await stack.containers(service);

    const since = performance.now();
    await docker('rm', '--force', '--volumes', ...destroyed);
    await stack.compose('up', '--detach', '--no-recreate', '--no-deps', service);
    const made = await stack.containers(service);
    await Promise.all(made.map(healthy));
    await figure(
      context,
      `${service} is made anew and healthy after ${((performance.now() - since) / 1000).toFixed(1)} s`,
    );

    expect(made).toHaveLength(destroyed.length);
    expect(made.filter((id) => destroyed.includes(id))).toEqual([]);
    expect(await started()).toEqual(startedBefore);
    // NGINX asks Docker's DNS once a second for the replicas.
    await until(async () => (await fetch(`${stack.address}/health`)).ok);
    await write();
    expect(await count()).toBe(before + 1);
  },
);
