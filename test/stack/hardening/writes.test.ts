import { describe, expect, it } from 'vitest';
import { container } from '../../support/services.ts';
import { attempt } from '../../support/stack.ts';
import { NODE, script, shell } from './inside.ts';

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

  it('nothing that is written to a tmpfs can be run', async () => {
    const { code, output } = await shell('nginx', 'cp /bin/sh /tmp/sh && /tmp/sh -c true');
    expect(code).not.toBe(0);
    expect(output).toMatch(/denied/);
  });
});
