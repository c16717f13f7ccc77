/** An image of the next major version of Postgres, to upgrade to. */
import { docker } from './stack.ts';

const NEXT = 19;

/**
 * The official image, or, where the stack runs on stand-ins, one more of those from the suites of Debian that may have this version.
 * @param current the image that the stack runs on
 */
export async function nextPostgres(current: string): Promise<string> {
  if (!current.startsWith('stand-in/')) return `postgres:${NEXT}-alpine`;
  const image = 'stand-in/postgres-next';
  const args = [`POSTGRES_VERSION=${NEXT}`, 'MORE_SUITES=sid experimental'];
  const build = ['build', '--quiet', '--network', 'host', '--target', 'postgres', '--tag', image];
  await docker(...build, ...args.flatMap((arg) => ['--build-arg', arg]), 'host/base-images');
  return image;
}
