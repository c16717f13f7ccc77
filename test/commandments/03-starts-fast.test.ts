import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { freePort } from '../integration/containers.ts';
import { container, figure } from '../stack/services.ts';
import { docker, inspect } from '../stack/stack.ts';

const ROUNDS = 30;

/** Milliseconds from `docker run` to the first 200. On the host's network: its own is the same work for both. */
async function firstAnswer(port: number, args: string[]): Promise<number> {
  const since = performance.now();
  const running = docker('run', '--detach', '--network', 'host', ...args);
  try {
    // Knocking costs little: whoever asks with whole requests takes the processor from the one that starts.
    while (!(await accepts(port))) {
      if (performance.now() - since > 30_000) throw new Error('no answer within 30 s');
      await sleep(5);
    }
    const { status } = await fetch(`http://127.0.0.1:${port}/`);
    expect(status).toBe(200);
    return performance.now() - since;
  } finally {
    await docker('rm', '--force', (await running).stdout.trim());
  }
}

const median = (values: number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

function accepts(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}

it('web counts its first visit in at most twice the time in which a bare server says anything', {
  timeout: 180_000,
}, async (context) => {
  const web = await container('web');
  const image = await inspect(web, '{{.Image}}');
  const address = async (service: string) =>
    inspect(await container(service), '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}');
  const [redis, postgres] = await Promise.all([address('redis'), address('postgres')]);
  const env: string[] = JSON.parse(await inspect(web, '{{json .Config.Env}}'));
  const settings = [
    ...env.filter((setting) => setting.startsWith('PG') && !setting.startsWith('PGHOST=')),
    `PGHOST=${postgres}`,
    `REDIS_URL=redis://${redis}:6379`,
  ].flatMap((setting) => ['--env', setting]);

  const times: { bare: number[]; web: number[] } = { bare: [], web: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const port = await freePort();
    const server = `require('node:http').createServer((_, response) => response.end()).listen(${port})`;
    times.bare.push(await firstAnswer(port, ['--entrypoint', '/usr/local/bin/node', image, '-e', server]));
    const own = await freePort();
    times.web.push(
      await firstAnswer(own, ['--volumes-from', `${web}:ro`, ...settings, '--env', `PORT=${own}`, image]),
    );
  }
  const [bare, ours] = [median(times.bare), median(times.web)];
  await figure(
    context,
    `web counts its first visit ${ours.toFixed(0)} ms after docker run, a bare server answers after ${bare.toFixed(0)} ms: ${(ours / bare).toFixed(2)} times as long (medians of ${ROUNDS})`,
  );
  expect(ours / bare).toBeLessThan(2);
});
