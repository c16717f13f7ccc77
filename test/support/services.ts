/** What the proofs of the commandments share: the four services of the stack under test, and how they are asked. */
import { expect, inject, type TestContext } from 'vitest';
import { subject } from '../subject.ts';
import { until } from './faults.ts';
import { docker, inspect, Stack } from './stack.ts';
import type { Writers } from './writers.ts';

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

/** Writes once. */
export const write = () => subject.write(stack.address);

/** How often was written. */
export async function count(): Promise<number> {
  const answer = await stack.sql(subject.count);
  if (!/^\d+$/.test(answer)) throw new Error(`${subject.count}: '${answer}' is no count`);
  return Number(answer);
}

/**
 * Expects that what clients were told is so: nothing that was acknowledged is lost.
 * @param before the count before the first of them wrote
 */
export async function expectKept(writers: Writers, before: number): Promise<void> {
  const written = (await count()) - before;
  expect(written).toBeGreaterThanOrEqual(writers.acknowledged);
  if (subject.writesOnce) expect(written).toBeLessThanOrEqual(writers.sent);
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
