import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { until } from '../../support/faults.ts';
import { SERVICES, stack } from '../../support/services.ts';
import { docker, inspect } from '../../support/stack.ts';
import { NODE, pid } from './inside.ts';

describe('how much they can take', () => {
  /** A container of a service's own kind, beside those that serve. */
  const beside = (service: string, entrypoint: string, ...args: string[]) =>
    stack.compose('run', '--rm', '--no-deps', '--no-TTY', '--entrypoint', entrypoint, service, ...args).then(
      (output) => ({ code: 0, output }),
      ({ code, stdout, stderr }) => ({ code, output: stdout + stderr }),
    );

  it.each([
    ['nginx', '600m'],
    ['redis', '200m'],
    ['postgres', '800m'],
  ])('%s is killed when it takes more memory than its limit: %s', async (service, amount) => {
    // `tail` keeps what has no line break.
    const take = `head -c ${amount} /dev/zero | tail > /dev/null; exit $?`;
    expect((await beside(service, 'sh', '-c', take)).code).toBe(137);
  });

  it('web is killed when it takes more memory than its limit', async () => {
    expect((await beside('web', NODE, '-e', 'Buffer.alloc(400e6, 1)')).code).toBe(137);
  });

  it.each(['nginx', 'redis', 'postgres'])('%s cannot start processes without end', async (service) => {
    const { code, output } = await beside(
      service,
      'sh',
      '-c',
      'for i in $(seq 300); do sleep 20 & done; exit 0',
    );
    expect(code).not.toBe(0);
    expect(output).toMatch(/fork/i);
  });

  it('web cannot start processes without end', async () => {
    const many = `for (let i = 0; i < 40; i++)
      require('node:child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 20000)'])
        .on('error', (error) => { console.error(error.code); process.exit(3); })
        .on('exit', (code) => { console.error('ended with', code); process.exit(3); });`;
    expect((await beside('web', NODE, '-e', many)).code).toBe(3);
  });

  it.each(SERVICES)('%s gets one processor', async (service) => {
    const cgroups = await readFile(`/proc/${await pid(service)}/cgroup`, 'utf8');
    const v1 = /^\d+:(\S*\bcpu\b\S*):(.*)$/m.exec(cgroups);
    const v2 = /^0::(.*)$/m.exec(cgroups);
    const read = (path: string) => readFile(join('/sys/fs/cgroup', path), 'utf8');
    const [quota, period] = v1
      ? [
          await read(`${v1[1]?.split(',')[0]}${v1[2]}/cpu.cfs_quota_us`),
          await read(`${v1[1]?.split(',')[0]}${v1[2]}/cpu.cfs_period_us`),
        ]
      : (await read(`${v2?.[1]}/cpu.max`)).split(' ');
    expect(Number(quota) / Number(period)).toBe(1);
  });

  it.each(SERVICES)(
    '%s has the open files that its connections take, whatever the host gives',
    async (service) => {
      const limits = await readFile(`/proc/${await pid(service)}/limits`, 'utf8');
      const [, soft, hard] = /^Max open files\s+(\d+)\s+(\d+)/m.exec(limits) ?? [];
      const configured = { nginx: 8192, web: 8192, redis: 512, postgres: 100 }[service];
      expect(Number(soft)).toBeGreaterThan(configured);
      expect(hard).toBe(soft);
    },
  );

  it('a log is rotated: of 60 MB at most 30 are kept', async () => {
    const name = `${stack.project}-chatter`;
    const chatter =
      'yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c 60m';
    await stack.compose(
      'run',
      '--detach',
      '--no-deps',
      '--name',
      name,
      '--entrypoint',
      'sh',
      'nginx',
      '-c',
      chatter,
    );
    try {
      await until(async () => (await inspect(name, '{{.State.Running}}')) === 'false');
      const log = await inspect(name, '{{.LogPath}}');
      const sizes = await Promise.all(
        ['', '.1', '.2', '.3'].map((end) =>
          stat(log + end).then(
            ({ size }) => size,
            () => 0,
          ),
        ),
      );
      expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(31e6);
      expect(sizes[2]).toBeGreaterThan(9e6);
      expect(sizes[3]).toBe(0);
    } finally {
      await docker('rm', '--force', name);
    }
  });
});
