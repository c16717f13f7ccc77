import { afterEach, describe, expect, it } from 'vitest';
import { subject } from '../subject.ts';
import { until } from '../support/faults.ts';
import { container, count, expectKept, figure, healthy, stack } from '../support/services.ts';
import { docker, inspect } from '../support/stack.ts';
import { Writers } from '../support/writers.ts';

/** Sends a signal as the guide does, and waits until the container has ended: its exit code, and the seconds it took. */
async function end(id: string, signal: string): Promise<{ code: number; seconds: number; grace: number }> {
  // Docker would start it again after every signal but its stop signal.
  await docker('update', '--restart=no', id);
  const since = performance.now();
  await docker('kill', `--signal=${signal}`, id);
  await until(async () => (await inspect(id, '{{.State.Running}}')) === 'false');
  const seconds = (performance.now() - since) / 1000;
  const [code, grace] = (await inspect(id, '{{.State.ExitCode}} {{.Config.StopTimeout}}')).split(' ');
  await docker('update', '--restart=always', id);
  return { code: Number(code), seconds, grace: Number(grace) };
}

describe.each(['SIGTERM', 'SIGINT'])('%s', (signal) => {
  it.for(['web', 'redis', 'postgres'] as const)(
    '%s ends with 0 within its grace, and nothing that was acknowledged is lost',
    async (service, context) => {
      const id = await container(service);
      const before = await count();
      const load = new Writers(stack.address, 16);
      await until(() => load.sent > 100);
      const { code, seconds, grace } = await end(id, signal);
      await docker('start', id);
      await healthy(id);
      await load.stop();
      await figure(
        context,
        `${service}, ${signal}: exit code ${code} after ${seconds.toFixed(1)} s of ${grace} s; of ${load.sent} writes under way or sent meanwhile ${load.errors.length} failed`,
      );
      expect(code).toBe(0);
      expect(seconds).toBeLessThan(grace);
      await expectKept(load, before);
      if (service === 'web' || subject.hides.includes(service)) expect(load.errors).toEqual([]);
    },
  );
});

describe('nginx, with 20 requests under way', () => {
  afterEach(async () => {
    const replicas = await stack.containers('web');
    await Promise.all(replicas.map((id) => docker('unpause', id).catch(() => {})));
    await Promise.all(replicas.map(healthy));
    await stack.up();
  });

  /** Requests that wait for a web that is paused: the status of each, or undefined. */
  async function underWay(): Promise<Promise<number | undefined>[]> {
    await docker('pause', ...(await stack.containers('web')));
    const requests = Array.from({ length: 20 }, () =>
      fetch(stack.address + subject.path).then(
        ({ status }) => status,
        () => undefined,
      ),
    );
    const nginx = await container('nginx');
    await until(async () => {
      const { stdout } = await docker('exec', nginx, 'curl', '--silent', 'http://127.0.0.1:8081/status');
      // "Writing" are the requests that have no answer yet, this one among them.
      return Number(/Writing: (\d+)/.exec(stdout)?.[1]) === 21;
    });
    return requests;
  }

  it('SIGQUIT, which its image names as the signal to stop it, lets them end', async (context) => {
    const id = await container('nginx');
    expect(await inspect(id, '{{.Config.StopSignal}}')).toBe('SIGQUIT');
    const requests = await underWay();
    const ending = end(id, 'SIGQUIT');
    await docker('unpause', ...(await stack.containers('web')));
    const answers = await Promise.all(requests);
    const { code, seconds, grace } = await ending;
    await figure(
      context,
      `nginx, SIGQUIT: exit code ${code} after ${seconds.toFixed(1)} s of ${grace} s; of 20 requests under way 0 failed`,
    );
    expect(answers).toEqual(Array(20).fill(200));
    expect(code).toBe(0);
    expect(seconds).toBeLessThan(grace);
  });

  // "Fast shutdown", https://nginx.org/en/docs/control.html: it has no setting.
  it.for(['SIGTERM', 'SIGINT'])('%s ends it at once with 0, and them too', async (signal, context) => {
    const id = await container('nginx');
    const requests = await underWay();
    const { code, seconds } = await end(id, signal);
    const answers = await Promise.all(requests);
    const cut = answers.filter((answer) => answer === undefined).length;
    await figure(
      context,
      `nginx, ${signal}: exit code ${code} after ${seconds.toFixed(1)} s; of 20 requests under way ${cut} were cut off`,
    );
    expect(code).toBe(0);
    expect(cut).toBe(20);
  });
});
