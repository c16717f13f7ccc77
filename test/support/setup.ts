/** Builds and starts one stack for all files of this suite, and removes it with its volumes at the end. */
import type { TestProject } from 'vitest/node';
import { Stack } from './stack.ts';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stack = await Stack.start('stack-under-test');
  project.provide('stack', { project: stack.project, port: stack.port });
  return () => stack.remove();
}

declare module 'vitest' {
  interface ProvidedContext {
    stack: { project: string; port: string };
  }
}
