/** Whether the kernel holds every container to the limits of docker-compose.yml: read from cgroup v2, where they take effect. */
import type { Agent } from './agent.ts';

const FILES = ['memory.max', 'memory.swap.max', 'cpu.max', 'pids.max'] as const;
type Limits = Record<(typeof FILES)[number], string>;

interface Service {
  restart: string;
  memswap_limit: string;
  deploy: { resources: { limits: { cpus: number; memory: string; pids: number } } };
}

/** What docker-compose.yml asks for, of each service that goes on running. */
export function asked(config: string): Map<string, Limits> {
  const { services } = JSON.parse(config) as { services: Record<string, Service> };
  return new Map(
    Object.entries(services)
      .filter(([, { restart }]) => restart === 'always')
      .map(([name, { memswap_limit, deploy }]) => {
        const { cpus, memory, pids } = deploy.resources.limits;
        return [
          name,
          {
            'memory.max': memory,
            // Compose's limit is of both together.
            'memory.swap.max': String(Number(memswap_limit) - Number(memory)),
            // Of each 100 ms.
            'cpu.max': `${cpus * 100_000} 100000`,
            'pids.max': String(pids),
          },
        ];
      }),
  );
}

/** A line for each limit of each container: service, container, file, value. */
const READ = `
docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}} {{.Name}} {{.State.Pid}}' $(docker ps --quiet) |
while read -r service name pid; do
  cd "/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$pid/cgroup)" || exit
  for file in ${FILES.join(' ')}; do echo "$service $name $file $(cat $file)"; done
done`;

/** How many limits were read, and each that is not as it should be. */
export async function compare(
  agent: Agent,
  wanted: Map<string, Limits>,
): Promise<{ read: number; wrong: string[] }> {
  const lines = (await agent.run(READ)).split('\n').map((line) => line.split(' '));
  const seen = new Set(lines.map(([service]) => service));
  const wrong = [...wanted.keys()]
    .filter((name) => !seen.has(name))
    .map((name) => `${name} has no container`);
  for (const [service = '', name, file = '', ...value] of lines) {
    const expected = wanted.get(service)?.[file as (typeof FILES)[number]];
    if (value.join(' ') !== expected)
      wrong.push(`${file} of ${name} is ${value.join(' ')}, not ${expected} as in docker-compose.yml`);
  }
  return { read: lines.length, wrong };
}

/** Lifts the limits of one container behind Docker's back: what compare() says of that. Then sets them again. */
export async function compareLifted(
  agent: Agent,
  wanted: Map<string, Limits>,
  container: string,
): Promise<string[]> {
  const inCgroup = (command: string) =>
    agent.run(`
      pid=$(docker inspect --format '{{.State.Pid}}' ${container})
      cd "/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$pid/cgroup)" || exit
      for file in ${FILES.join(' ')}; do ${command}; done`);
  await inCgroup('cat $file > /run/$file && echo max > $file || exit');
  try {
    return (await compare(agent, wanted)).wrong;
  } finally {
    await inCgroup('cat /run/$file > $file || exit');
  }
}
