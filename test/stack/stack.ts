/** The composed stack, driven with `docker compose` and reached through NGINX's port on the host. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..', '..');

/** Runs docker compose on the stack under test: what it wrote to stdout. */
export async function compose(...args: string[]): Promise<string> {
  const all = ['compose', '--project-name', 'stack-under-test', ...args];
  const { stdout } = await run('docker', all, { cwd: ROOT, maxBuffer: 64 * 2 ** 20 });
  return stdout;
}

export async function up(...args: string[]): Promise<void> {
  await compose('up', '--detach', '--wait', '--wait-timeout', '120', ...args);
}

export async function remove(): Promise<void> {
  await compose('down', '--volumes', '--remove-orphans', '--timeout', '20');
}

export async function docker(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return run('docker', args, { maxBuffer: 64 * 2 ** 20 });
}

/** The ids of a service's containers. */
export async function containers(service: string): Promise<string[]> {
  return (await compose('ps', '--quiet', service)).split('\n').filter(Boolean);
}
