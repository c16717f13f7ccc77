import { describe, expect, it } from 'vitest';
import { reaches as canReach, connecting, hasDefaultRoute, outside } from '../../support/reach.ts';
import { container, containers, stack } from '../../support/services.ts';
import { attempt, docker, inspect } from '../../support/stack.ts';
import { NODE, shell } from './inside.ts';

describe('whom they reach', () => {
  const reaches = (service: string, host: string, port: number) => canReach(stack, service, host, port);

  it('web reaches both stores, and nginx web', async () => {
    expect(await reaches('web', await stack.on('back', 'redis'), 6379)).toBe(true);
    expect(await reaches('web', await stack.on('back', 'postgres'), 5432)).toBe(true);
    expect(await reaches('nginx', await stack.on('front', 'web'), 8000)).toBe(true);
  });

  it('nginx reaches neither store, by address or by name', async () => {
    expect(await reaches('nginx', await stack.on('back', 'redis'), 6379)).toBe(false);
    expect(await reaches('nginx', await stack.on('back', 'postgres'), 5432)).toBe(false);
    for (const store of ['redis', 'postgres']) {
      const { code } = await shell('nginx', `curl --silent --max-time 3 ${store}:1`);
      // "Could not resolve host"
      expect(code).toBe(6);
    }
  });

  it.each(['web', 'redis', 'postgres'])(
    '%s has no way out: a server on this machine is out of reach, which nginx reaches',
    async (service) => {
      // The port that nginx publishes, on an address of this machine that is on none of the stack's networks.
      const [address, port] = [outside(), Number(stack.port)];
      expect(await reaches('nginx', address, port)).toBe(true);
      expect(await reaches(service, address, port)).toBe(false);
      expect(await hasDefaultRoute(stack, service)).toBe(false);
      expect(await hasDefaultRoute(stack, 'nginx')).toBe(true);
    },
  );

  it('only nginx has a port on this machine', async () => {
    for (const id of await containers()) {
      const ports = (await docker('port', id)).stdout.trim();
      const service = await inspect(id, '{{index .Config.Labels "com.docker.compose.service"}}');
      expect([service, ports]).toEqual([
        service,
        service === 'nginx' ? `8080/tcp -> 0.0.0.0:${stack.port}` : '',
      ]);
    }
  });

  it('a container on the network of nginx alone reaches nothing but nginx', async () => {
    const reach = async (host: string, port: number) =>
      (
        await attempt(
          ...(['docker', 'run', '--rm', '--network', `${stack.project}_edge`] as const),
          ...['--entrypoint', NODE, await inspect(await container('web'), '{{.Image}}'), '-e'],
          connecting(host, port),
        )
      ).code === 0;
    expect(await reach('nginx', 8080)).toBe(true);
    expect(await reach('nginx', 8081)).toBe(false);
    expect(await reach(await stack.on('front', 'web'), 8000)).toBe(false);
    expect(await reach(await stack.on('back', 'redis'), 6379)).toBe(false);
    expect(await reach(await stack.on('back', 'postgres'), 5432)).toBe(false);
  });
});
