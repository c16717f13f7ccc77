import { expect, it } from 'vitest';
import { until } from '../support/faults.ts';
import { container, processes, type Service, stack } from '../support/services.ts';
import { inspect } from '../support/stack.ts';
import { Writers } from '../support/writers.ts';

/** What may run in a container, besides the health check. */
const TREES: Record<Service, { first: RegExp; others: RegExp; atMost: number }> = {
  nginx: { first: /^nginx: master process/, others: /^nginx: worker process/, atMost: 1 },
  // The init, and what it was told to start.
  web: {
    first: /^\/sbin\/docker-init -- \/usr\/local\/bin\/node/,
    others: /^\/usr\/local\/bin\/node .*main\.cjs$/,
    atMost: 1,
  },
  redis: { first: /^redis-server/, others: /^$/, atMost: 0 },
  // Sessions and helpers, all of the one server.
  postgres: { first: /^postgres --/, others: /^postgres: /, atMost: 100 },
};

it.each(Object.entries(TREES))(
  '%s runs one program, with no shell and no supervisor',
  async (service, tree) => {
    const id = await container(service);
    const load = new Writers(stack.address, 8);
    try {
      await until(() => load.sent > 50);
      const running = await processes(id);
      // Not the one with the lowest number: the kernel begins again at 32768.
      const main = await inspect(id, '{{.State.Pid}}');
      const first = running.find(({ pid }) => String(pid) === main);
      expect(first?.command).toMatch(tree.first);
      // A health check comes in from outside: it is no child of the first.
      const others = running.filter(({ parent }) => running.some(({ pid }) => pid === parent));
      expect(others.filter(({ command }) => !tree.others.test(command))).toEqual([]);
      expect(others.length).toBeLessThanOrEqual(tree.atMost);
      expect(running.filter(({ name }) => /^(sh|bash|dash|ash|supervisord|s6|runit|pm2)/.test(name))).toEqual(
        [],
      );
    } finally {
      await load.stop();
    }
  },
);
