import { expect, it } from 'vitest';
import { subject } from '../subject.ts';
import { crash, until } from '../support/faults.ts';
import { container, count, expectKept, figure, SERVICES, stack } from '../support/services.ts';
import { inspect } from '../support/stack.ts';
import { Writers } from '../support/writers.ts';

it.for(SERVICES)(
  '%s is killed from outside and restarted, and nothing that was acknowledged is lost',
  async (service, context) => {
    const id = await container(service);
    const restarts = Number(await inspect(id, '{{.RestartCount}}'));
    const before = await count();
    const load = new Writers(stack.address, 8);
    await until(() => load.sent > 100);

    const since = performance.now();
    const heal = await crash(id);
    await until(async () => Number(await inspect(id, '{{.RestartCount}}')) === restarts + 1);
    await heal();
    const seconds = ((performance.now() - since) / 1000).toFixed(1);
    const sent = load.sent;
    await until(() => load.sent > sent + 100);
    await load.stop();

    await figure(
      context,
      `${service}: serves ${seconds} s after SIGKILL; of ${load.sent} writes ${load.errors.length} failed`,
    );
    await expectKept(load, before);
    // NGINX is the one that clients are connected to: while it is away nobody answers them.
    if (service === 'nginx') expect(load.errors.length).toBeGreaterThan(0);
    if (subject.hides.includes(service)) expect(load.errors).toEqual([]);
  },
);
