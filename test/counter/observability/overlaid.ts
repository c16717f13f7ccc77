import { execFileSync } from 'node:child_process';
import { ROOT } from '../../support/this-checkout.ts';

interface Overlaid {
  services: Record<string, { environment: Record<string, string> }>;
  'x-names': { database: string };
  'x-base-images': Record<'PROMETHEUS_IMAGE' | 'ALERTMANAGER_IMAGE' | 'EXPORTER_IMAGE', string>;
}

/** docker-compose.yml with compose/observability.yml over it, with .env and these settings. */
export function overlaid(settings: NodeJS.ProcessEnv = {}): Overlaid {
  const files = ['--file', 'docker-compose.yml', '--file', 'compose/observability.yml'];
  const config = execFileSync('docker', ['compose', ...files, 'config', '--format', 'json'], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, ...settings },
  });
  return JSON.parse(config);
}
