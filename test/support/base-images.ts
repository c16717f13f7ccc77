/** The images that the stack is made of: from docker-compose.yml, .env and the environment. */
import { execFileSync } from 'node:child_process';

/** By the names of their settings (.env.example). @throws when Compose does not answer. */
export function baseImages(): Record<`${'NODE' | 'NGINX' | 'REDIS' | 'POSTGRES'}_IMAGE`, string> {
  const config = execFileSync('docker', ['compose', 'config', '--format', 'json'], { encoding: 'utf8' });
  return JSON.parse(config)['x-base-images'];
}
