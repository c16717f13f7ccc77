/** The images that the stack is made of: from docker-compose.yml, .env and the environment. */
import { execFileSync } from 'node:child_process';

/** By the names of their settings (.env.example). @throws when Compose does not answer. */
export function baseImages() {
  const { services } = JSON.parse(
    execFileSync('docker', ['compose', 'config', '--format', 'json'], { encoding: 'utf8' }),
  );
  return {
    NODE_IMAGE: String(services.web.build.args.NODE_IMAGE),
    NGINX_IMAGE: String(services.nginx.build.args.NGINX_IMAGE),
    REDIS_IMAGE: String(services.redis.image),
    POSTGRES_IMAGE: String(services.postgres.build.args.POSTGRES_IMAGE),
  };
}
