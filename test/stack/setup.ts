/** The stack under test: the project's own Compose file under another project's name, so that a stack in use and its
 * count are left alone. Built and started once for all files of this suite, removed with its volumes at the end. */
import type { TestProject } from 'vitest/node';
import { freePort } from '../integration/containers.ts';
import { compose, remove, up } from './stack.ts';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  process.env.HTTP_PORT = String(await freePort());
  await remove();
  try {
    await up('--build');
  } catch (error) {
    console.error(await compose('logs', '--no-color'));
    await remove();
    throw error;
  }
  project.provide('httpPort', process.env.HTTP_PORT);
  return remove;
}

declare module 'vitest' {
  interface ProvidedContext {
    httpPort: string;
  }
}
