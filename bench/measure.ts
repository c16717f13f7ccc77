/** One measurement of one arm: what the load generator saw, and what it cost each container. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { getContainerRuntimeClient } from 'testcontainers';
import type { Stack } from '../test/support/stack.ts';
import { path, service } from './names.ts';
import { type Answered, wrk } from './wrk.ts';

const run = promisify(execFile);

export interface Sample extends Omit<Answered, 'cpu'> {
  arm: string;
  connections: number;
  replicas: number;
  /** Processor seconds by service, of all its containers; `wrk`; and `rest`: the kernel, the engine, anything else. */
  cpu: Record<string, number>;
  /** The largest replica of the arm in MiB: what is its own, and all that is resident, shared pages of Node included. */
  memory: { own: number; resident: number };
  /** Transactions of Postgres that wrote. */
  commits: number;
  /** Commands that clients sent to Redis. */
  commands: number;
}

/**
 * Loads one arm for some seconds, over NGINX's address on the container network: the port on the host would go through
 * docker-proxy, which is slower than what is measured.
 */
export async function measure(
  stack: Stack,
  arm: string,
  connections: number,
  seconds: number,
): Promise<Sample> {
  const address = await stack.on('edge', 'nginx');
  const url = `http://${address}:8080${path(arm)}`;
  const before = await readings(stack);
  const { cpu: generator, ...seen } = await wrk(url, connections, seconds);
  const after = await readings(stack);

  // With each INCR the original sends an EXISTS and a GET.
  const ofIncr = arm === 'original' ? 3 : 1;
  const used = (name: string) => (after.cpu[name] ?? 0) - (before.cpu[name] ?? 0);
  const cpu: Record<string, number> = { wrk: generator };
  for (const name of Object.keys(after.cpu)) cpu[name] = used(name);
  const containers = Object.values(cpu).reduce((sum, seconds) => sum + seconds, 0);
  cpu.rest = after.busy - before.busy - containers;
  const ids = await stack.containers(service(arm));
  const memory = await Promise.all(ids.map(memoryOf));
  return {
    arm,
    connections,
    replicas: ids.length,
    ...seen,
    cpu,
    memory: {
      own: Math.max(...memory.map(({ own }) => own)),
      resident: Math.max(...memory.map(({ resident }) => resident)),
    },
    commits: after.commits - before.commits,
    commands:
      after.commands.scripts -
      before.commands.scripts +
      ofIncr * (after.commands.incr - before.commands.incr),
  };
}

interface Readings {
  cpu: Record<string, number>;
  busy: number;
  commits: number;
  commands: { scripts: number; incr: number };
}

async function readings(stack: Stack): Promise<Readings> {
  const { container } = await getContainerRuntimeClient();
  const containers = await container.dockerode.listContainers({
    filters: { label: [`com.docker.compose.project=${stack.project}`] },
  });
  const cpu: Record<string, number> = {};
  await Promise.all(
    containers.map(async ({ Id, Labels }) => {
      const stats = await container.dockerode.getContainer(Id).stats({ stream: false, 'one-shot': true });
      const service = Labels['com.docker.compose.service'] ?? '';
      cpu[service] = (cpu[service] ?? 0) + stats.cpu_stats.cpu_usage.total_usage / 1e9;
    }),
  );
  // Each transaction that writes takes one number, and none other does.
  const commits = Number(await stack.sql('SELECT pg_snapshot_xmax(pg_current_snapshot())'));
  const statistics = await stack.compose('exec', '-T', 'redis', 'redis-cli', 'INFO', 'commandstats');
  // What clients send, but for EXISTS and GET, which the counter's script calls too.
  const calls = (command: string) =>
    Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(statistics)?.[1] ?? 0);
  const commands = { scripts: calls('evalsha'), incr: calls('incr') };
  return { cpu, busy: await busySeconds(), commits, commands };
}

/** What all processors of this machine worked since its start. Not os.cpus(), which leaves out what networking takes. */
async function busySeconds(): Promise<number> {
  const [user = 0, nice = 0, system = 0, _idle, _waiting, irq = 0, softirq = 0] = (
    await readFile('/proc/stat', 'utf8')
  )
    .split(/\s+/, 8)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq) / 100;
}

/** In MiB, of all processes of a container, as the kernel tells. Linux alone, on the engine's own machine. */
async function memoryOf(id: string): Promise<{ own: number; resident: number }> {
  const pids = (await run('docker', ['top', id, '-o', 'pid'])).stdout.trim().split('\n').slice(1);
  const sizes = await Promise.all(
    pids.map(async (pid) => {
      // A health check may have ended meanwhile.
      const status = await readFile(`/proc/${pid.trim()}/status`, 'utf8').catch(() => '');
      const kib = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0);
      return { own: kib('RssAnon') / 1024, resident: kib('VmRSS') / 1024 };
    }),
  );
  const sum = (of: (size: { own: number; resident: number }) => number) =>
    sizes.reduce((total, size) => total + of(size), 0);
  return { own: sum(({ own }) => own), resident: sum(({ resident }) => resident) };
}
