/** What the proofs of the commandments share: the four services of the stack under test, and how they are asked. */
import { inject, type TestContext } from 'vitest';
import { until } from './faults.ts';
import { docker, inspect, Stack } from './stack.ts';

const { project, port } = inject('stack');

export const stack = new Stack(project, port);
export const SERVICES = ['nginx', 'web', 'redis', 'postgres'] as const;
export type Service = (typeof SERVICES)[number];

/** The first container of a service. */
export async function container(service: string): Promise<string> {
  const [id] = await stack.containers(service);
  if (id === undefined) throw new Error(`${service} has no container`);
  return id;
}

/** The ids of all containers of the four services. */
export async function containers(): Promise<string[]> {
  return (await Promise.all(SERVICES.map((service) => stack.containers(service)))).flat();
}

/** Counts a visit: its number. */
export async function visit(): Promise<number> {
  const response = await fetch(stack.address);
  return Number(/viewed (\d+) time/.exec(await response.text())?.[1]);
}

/** Until a container's own health check says so. */
export async function healthy(id: string): Promise<void> {
  await until(async () => (await inspect(id, '{{.State.Health.Status}}')) === 'healthy');
}

/** The processes of a container, as the host sees them. */
export async function processes(
  id: string,
): Promise<{ pid: number; parent: number; user: number; name: string; command: string }[]> {
  const { stdout } = await docker('top', id, '-eo', 'pid,ppid,uid,comm,args');
  return stdout
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => {
      const [pid, parent, user, name = '', ...command] = line.trim().split(/\s+/);
      return {
        pid: Number(pid),
        parent: Number(parent),
        user: Number(user),
        name,
        command: command.join(' '),
      };
    });
}

/** A measured figure, which the run prints at its end: docs/commandments.md quotes them. */
export async function figure({ annotate }: TestContext, text: string): Promise<void> {
  await annotate(text, 'figure');
}
