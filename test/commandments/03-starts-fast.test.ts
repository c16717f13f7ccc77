import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { freePort } from '../integration/containers.ts';
import { container, figure } from '../stack/services.ts';
import { docker, inspect } from '../stack/stack.ts';

const ROUNDS = 9;

/** Milliseconds from `docker run` to the first 200. On the host's network: its own is the same work for both. */
async function firstAnswer(port: number, args: string[]): Promise<number> {
  const since = performance.now();
  const running = docker('run', '--detach', '--network', 'host', ...args);
  try {
    while (performance.now() - since < 30_000) {
      const response = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
      if (response?.status === 200) return performance.now() - since;
      await sleep(2);
    }
    throw new Error('no answer within 30 s');
  } finally {
    await docker('rm', '--force', (await running).stdout.trim());
  }
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
  // The fastest: whatever else the machine does only makes a start longer.
  const [bare, ours] = [Math.min(...times.bare), Math.min(...times.web)];
  await figure(
    context,
    `web counts its first visit ${ours.toFixed(0)} ms after docker run, a bare server answers after ${bare.toFixed(0)} ms: ${(ours / bare).toFixed(2)} times as long (the fastest of ${ROUNDS})`,
  );
  expect(ours / bare).toBeLessThan(2);
});
