/** Faults of real containers. Each function returns how to undo it. Needs root on the engine's own machine (Linux). */
import { execFile } from 'node:child_process';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { docker, inspect, type Stack } from './stack.ts';

const run = promisify(execFile);

export type Heal = () => Promise<void>;
const healsItself: Heal = async () => {};

/** Resolves when the condition holds; one that fails does not. Gives up after so long (ms). */
export async function until(condition: () => Promise<boolean> | boolean, limitMs = 30_000): Promise<void> {
  const started = performance.now();
  while (!(await Promise.try(condition).catch(() => false))) {
    if (performance.now() - started > limitMs)
      throw new Error(`not within ${limitMs / 1000} s: ${condition}`);
    await sleep(20);
  }
}

const pidOf = (id: string) => inspect(id, '{{.State.Pid}}');

/** The container's own health check, run now. */
async function probe(id: string): Promise<void> {
  const test: string[] = JSON.parse(await inspect(id, '{{json .Config.Healthcheck.Test}}'));
  await docker('exec', id, ...test.slice(1));
}

/** SIGKILL from outside, so that Docker sees a crash and its restart policy acts; `docker kill` would suspend it. */
export async function crash(id: string): Promise<Heal> {
  const pid = Number(await pidOf(id));
  // 0, of a container that is down, would be the process group of whoever asks.
  if (!(pid > 0)) throw new Error(`${id} has no process to kill`);
  process.kill(pid, 'SIGKILL');
  return () => until(() => probe(id).then(() => true));
}

/** Every process of the container stands still; its kernel goes on accepting connections. */
export async function pause(id: string): Promise<Heal> {
  await docker('pause', id);
  return async () => {
    await docker('unpause', id);
  };
}

/** No packet gets in or out, and nobody is told. Docker's DNS, which is inside, goes on answering. */
export async function cut(id: string): Promise<Heal> {
  return drop(id, [
    ['INPUT', '--in-interface', 'eth+'],
    ['OUTPUT', '--out-interface', 'eth+'],
  ]);
}

async function drop(id: string, matches: string[][]): Promise<Heal> {
  const network = `/proc/${await pidOf(id)}/ns/net`;
  const change = async (how: '--insert' | '--delete') => {
    for (const match of matches) {
      await run('nsenter', [`--net=${network}`, 'iptables', how, ...match, '--jump', 'DROP']);
    }
  };
  await change('--insert');
  return () => change('--delete');
}

/** As cut(), but only between these two. One that is down has no address, and is cut off already. */
export async function cutBetween(id: string, other: string): Promise<Heal> {
  const address = await inspect(other, '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}');
  if (!isIP(address)) return healsItself;
  return drop(id, [
    ['INPUT', '--source', address],
    ['OUTPUT', '--destination', address],
  ]);
}

/** An orderly stop and start. */
export async function restart(id: string): Promise<Heal> {
  await docker('restart', id);
  return healsItself;
}

/** All of them at once. */
export async function together(...faults: Promise<Heal>[]): Promise<Heal> {
  const heals = await Promise.all(faults);
  return async () => {
    await Promise.all(heals.map((heal) => heal()));
  };
}

/** Redis crashes and comes back with what it knew a second before. */
export async function oldData(stack: Stack): Promise<Heal> {
  const [id = ''] = await stack.containers('redis');
  await docker('exec', id, 'redis-cli', 'SAVE');
  await sleep(1000);
  return crash(id);
}

/** Redis fails over to a replica that has not heard of the last second. */
export async function failover(stack: Stack): Promise<Heal> {
  const [master = ''] = await stack.containers('redis');
  const network = `${stack.project}_back`;
  const image = await inspect(master, '{{.Config.Image}}');
  const replica = `${stack.project}-redis-replica`;
  await docker(
    'run',
    '--detach',
    '--name',
    replica,
    '--network',
    network,
    image,
    'redis-server',
    '--replicaof',
    'redis',
    '6379',
  );
  await until(async () => {
    const { stdout } = await docker('exec', replica, 'redis-cli', 'INFO', 'replication');
    return stdout.includes('master_link_status:up');
  });
  await docker('network', 'disconnect', network, replica);
  await sleep(1000);
  await docker('exec', replica, 'redis-cli', 'REPLICAOF', 'NO', 'ONE');
  await docker('kill', master);
  await docker('network', 'connect', '--alias', 'redis.back.internal', network, replica);
  return async () => {
    // Back to the first, which is empty: another failover.
    await docker('rm', '--force', '--volumes', replica);
    await docker('start', master);
  };
}

/** The disk of Postgres's data is full. On a stack with small-disk.yml. */
export async function fillDisk(stack: Stack): Promise<Heal> {
  const [id = ''] = await stack.containers('postgres');
  // Docker restarts a container at once only if it ran for 10 s. Otherwise it waits twice as long as the time before.
  const started = Date.parse(await inspect(id, '{{.State.StartedAt}}'));
  await until(() => Date.now() - started > 10_000);
  const since = new Date().toISOString();
  const filler = (command: string) => stack.compose('exec', '-T', 'filler', 'sh', '-c', command);
  // It ends with an error when nothing is left.
  await filler('cat /dev/zero > /data/filler || true');
  // Postgres has space in reserve for its log: use it up.
  await until(() =>
    stack.sql('SELECT pg_switch_wal()').then(
      () => false,
      () => true,
    ),
  );
  // Whoever looks must find the cause.
  await until(async () =>
    (await stack.compose('logs', '--since', since, 'postgres')).includes('No space left on device'),
  );
  return async () => {
    await filler('rm /data/filler');
  };
}
