import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { container, SERVICES, stack } from '../../support/services.ts';
import { attempt } from '../../support/stack.ts';
import { NODE, pid, script, shell } from './inside.ts';

describe('what they can write', () => {
  it.each(['nginx', 'redis', 'postgres'])('%s cannot change its own files', async (service) => {
    const places = [
      '/',
      '/etc',
      '/usr/local/bin',
      '/var/lib',
      '/home',
      '/data',
      '/etc/nginx',
      '/run',
      '/dev',
    ];
    for (const place of places) {
      const { code, output } = await shell(service, `[ ! -d ${place} ] || ! touch ${place}/new`);
      expect([place, code]).toEqual([place, 0]);
      if (output) expect(output).toMatch(/Read-only file system|Permission denied/);
    }
    // Root, whom permissions do not stop, is stopped by the file system.
    expect((await shell(service, 'touch /etc/new', 'root')).output).toContain('Read-only file system');
  });

  it('web cannot change its own files', async () => {
    for (const place of ['/', '/app', '/usr/local/bin', '/etc', '/tmp', '/run/secrets/web']) {
      const { code, output } = await script(`require('node:fs').writeFileSync('${place}/new', '')`);
      expect([place, code]).toEqual([place, 1]);
      expect(output).toMatch(/EROFS|EACCES|ENOENT/);
    }
    const write = "require('node:fs').writeFileSync('/app/new', '')";
    const asRoot = await attempt('docker', 'exec', '--user', '0', await container('web'), NODE, '-e', write);
    expect(asRoot.output).toContain('EROFS');
  });

  it.each([
    ['nginx', '/tmp'],
    ['postgres', '/tmp'],
  ])('nothing that %s writes to its tmpfs can be run', async (service, tmpfs) => {
    const { code, output } = await shell(service, `cp /bin/sh ${tmpfs}/sh && ${tmpfs}/sh -c true`);
    expect(code).not.toBe(0);
    expect(output).toMatch(/Permission denied/);
  });

  it('redis can write nothing to its tmpfs, and could not run it', async () => {
    expect((await shell('redis', 'touch /data/new')).output).toMatch(/Permission denied/);
    const mounts = await readFile(`/proc/${await pid('redis')}/mounts`, 'utf8');
    expect(mounts).toMatch(/^tmpfs \/data tmpfs \S*noexec/m);
  });

  it('every tmpfs of the stack is tried here', async () => {
    const config = JSON.parse(await stack.compose('config', '--format', 'json'));
    const running = SERVICES.filter((service) => config.services[service].tmpfs);
    expect(running).toEqual(['nginx', 'redis', 'postgres']);
  });
});
