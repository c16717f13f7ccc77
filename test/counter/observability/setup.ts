/** One stack with compose/observability.yml for all files of this suite; removed with its volumes at the end. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { Stack } from '../../support/stack.ts';
import { freePort } from '../../support/this-checkout.ts';

export const FILES = [
  'compose/backup.yml',
  'compose/observability.yml',
  'test/counter/observability/on-a-small-disk.yml',
];

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const backups = await mkdtemp(join(tmpdir(), 'backups-'));
  // One of now, or an alert would fire from the start. Readable, as ./stack backup makes the folder.
  const now = new Date().toISOString().replaceAll(/[-:]|\..*/g, '');
  await writeFile(join(backups, `base-${now}Z.tar.gz`), '');
  await chmod(backups, 0o755);
  const settings = {
    PROMETHEUS_PORT: String(await freePort()),
    ALERTMANAGER_PORT: String(await freePort()),
    CERTIFICATE_PORT: String(await freePort()),
    BACKUP_DIR: backups,
    WAL_ARCHIVE_TIMEOUT: '60',
  };
  const stack = await Stack.startWith(
    { ...settings, CERTIFICATES: `certificate.test:${settings.CERTIFICATE_PORT}` },
    'watched',
    ...FILES,
  );
  project.provide('observed', { project: stack.project, port: stack.port, settings });
  return async () => {
    await stack.remove();
    await rm(backups, { recursive: true });
  };
}

declare module 'vitest' {
  interface ProvidedContext {
    observed: {
      project: string;
      port: string;
      settings: Record<'PROMETHEUS_PORT' | 'ALERTMANAGER_PORT' | 'CERTIFICATE_PORT' | 'BACKUP_DIR', string>;
    };
  }
}
