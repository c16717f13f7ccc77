/** How long web takes from `docker run` to its first answer from the stores, next to a server that does nothing. */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { subject } from '../subject.ts';
import { docker, inspect, type Stack } from './stack.ts';
import { freePort } from './this-checkout.ts';

export interface StartTimes {
  /** Milliseconds of each round, until a bare `node -e` server of the same image says anything. */
  bare: number[];
  /** Until web has answered from its stores. */
  web: number[];
}

/** Starts both in turns, with the network, the stores and the settings of a stack that is up. */
export async function startTimes(stack: Stack, rounds: number): Promise<StartTimes> {
  const first = async (service: string) => (await stack.containers(service))[0] ?? '';
  const web = await first('web');
  const image = await inspect(web, '{{.Image}}');
  const address = async (service: string) =>
    inspect(await first(service), '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}');
  const [redis, postgres] = await Promise.all([address('redis'), address('postgres')]);
  const env: string[] = JSON.parse(await inspect(web, '{{json .Config.Env}}'));
  const settings = [
    ...env.filter((setting) => setting.startsWith('PG') && !setting.startsWith('PGHOST=')),
    `PGHOST=${postgres}`,
    `REDIS_URL=redis://${redis}:6379`,
  ].flatMap((setting) => ['--env', setting]);

  const times: StartTimes = { bare: [], web: [] };
  for (let round = 0; round < rounds; round++) {
    const port = await freePort();
    const server = `require('node:http').createServer((_, response) => response.end()).listen(${port})`;
    times.bare.push(
      await firstAnswer(port, '/', ['--entrypoint', '/usr/local/bin/node', image, '-e', server]),
    );
    const own = await freePort();
    times.web.push(
      await firstAnswer(own, subject.path, [
        '--volumes-from',
        `${web}:ro`,
        ...settings,
        '--env',
        `PORT=${own}`,
        image,
      ]),
    );
  }
  return times;
}

/** Milliseconds from `docker run` to the first 200. On the host's network: its own is the same work for both. */
async function firstAnswer(port: number, path: string, args: string[]): Promise<number> {
  const since = performance.now();
  const running = docker('run', '--detach', '--network', 'host', ...args);
  try {
    // Knocking costs little: whoever asks with whole requests takes the processor from the one that starts.
    while (!(await accepts(port))) {
      if (performance.now() - since > 30_000) throw new Error('no answer within 30 s');
      await sleep(5);
    }
    const { status } = await fetch(`http://127.0.0.1:${port}${path}`);
    if (status !== 200) throw new Error(`the first answer is a ${status}`);
    return performance.now() - since;
  } finally {
    await docker('rm', '--force', (await running).stdout.trim());
  }
}

function accepts(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}
