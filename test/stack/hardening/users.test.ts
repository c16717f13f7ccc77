import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { container, processes, SERVICES } from '../../support/services.ts';
import { pid, shell } from './inside.ts';

describe('who the processes are', () => {
  it.each(SERVICES)('no process of %s is root', async (service) => {
    const users = (await processes(await container(service))).map(({ user }) => user);
    expect(users.length).toBeGreaterThan(0);
    expect(users).not.toContain(0);
  });

  it.each(SERVICES)(
    'the kernel gives %s no capability, no way to gain one, and a filter of system calls',
    async (service) => {
      const status = await readFile(`/proc/${await pid(service)}/status`, 'utf8');
      const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)$`, 'm').exec(status)?.[1];
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        expect(field(set)).toBe('0000000000000000');
      expect([field('NoNewPrivs'), field('Seccomp')]).toEqual(['1', '2']);
    },
  );

  it.each(['nginx', 'redis', 'postgres'])('not even root can do in %s what root can', async (service) => {
    for (const command of ['chown 1:1 /tmp', 'mount -t tmpfs none /mnt', 'hostname other']) {
      const { code, output } = await shell(service, command, 'root');
      expect([command, code]).not.toEqual([command, 0]);
      expect(output).toMatch(/not permitted|denied|must be |read-only|Read-only/i);
    }
  });
});
