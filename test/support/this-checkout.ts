import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');

/** Tells this checkout's containers and projects from those of another. */
export const CHECKOUT = createHash('sha256').update(ROOT).digest('hex').slice(0, 8);
export const LABEL = `docker-nginx-express-redis-postgres.test=${CHECKOUT}`;

/** A port of this machine that nobody listens on. */
export async function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer().on('error', reject);
  server.listen(0, () => {
    const address = server.address();
    server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
  });
  return promise;
}
