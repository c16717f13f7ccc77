import { execFileSync } from 'node:child_process';
import { ROOT } from '../../support/this-checkout.ts';

/** The images of compose/observability.yml, by the names of their settings. */
export function overlaidImages(): Record<
  'PROMETHEUS_IMAGE' | 'ALERTMANAGER_IMAGE' | 'EXPORTER_IMAGE',
  string
> {
  const files = ['--file', 'docker-compose.yml', '--file', 'compose/observability.yml'];
  const config = execFileSync('docker', ['compose', ...files, 'config', '--format', 'json'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return JSON.parse(config)['x-base-images'];
}
