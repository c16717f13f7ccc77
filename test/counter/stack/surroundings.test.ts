/** What is around the stack: other containers' names, proxies before it and beside it, addresses that Docker chooses. */
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pause, until } from '../../support/faults.ts';
import { container, healthy, SERVICES, stack } from '../../support/services.ts';
import { attempt, docker, inspect, Stack } from '../../support/stack.ts';
import { visit } from './visit.ts';

const NODE = '/usr/local/bin/node';
const reset = async (headers: Record<string, string> = {}, address = stack.address) => {
  const response = await fetch(`${address}/resetcounter`, { headers });
  return { status: response.status, text: await response.text() };
};

describe('other containers with the same names', () => {
  it('get no request, from nginx or from web', async () => {
    const network = `${stack.project}-other`;
    const foreign = `${stack.project}-foreign`;
    const image = await inspect(await container('web'), '{{.Image}}');
    const answer = `const say = (_, res) => res.end('foreign');
      for (const port of [8000, 6379, 5432]) require('node:http').createServer(say).listen(port);`;
    await docker('network', 'create', '--internal', network);
    try {
      const aliases = ['web', 'redis', 'postgres'].flatMap((name) => ['--network-alias', name]);
      await docker(
        ...['run', '--detach', '--name', foreign, '--network', network, ...aliases],
        ...['--entrypoint', NODE, image, '-e', answer],
      );
      const [nginx, web] = [await container('nginx'), await container('web')];
      await docker('network', 'connect', network, nginx);
      await docker('network', 'connect', network, web);
      // It looks its stores up anew, and nginx its replicas, once a second.
      await docker('restart', web);
      await healthy(web);
      const { stdout } = await docker(
        'exec',
        nginx,
        'curl',
        '--silent',
        '--noproxy',
        '*',
        'http://web:8000/',
      );
      expect(stdout).toBe('foreign');
      const started = performance.now();
      await until(async () => {
        expect(await visit()).toBeGreaterThan(0);
        return performance.now() - started > 2500;
      });
      const ready = await attempt('docker', 'exec', web, NODE, 'healthcheck.cjs', '/readyz');
      expect(JSON.parse(ready.output)).toMatchObject({ redis: 'up', postgres: 'up' });
    } finally {
      for (const service of ['nginx', 'web'])
        await attempt('docker', 'network', 'disconnect', '--force', network, await container(service));
      await attempt('docker', 'rm', '--force', foreign);
      await docker('network', 'rm', network);
    }
  });
});

describe("proxies in Docker's client configuration", () => {
  it('change nothing: every service gets healthy and visits are counted', async () => {
    await using directory = await mkdtempDisposable(join(tmpdir(), 'docker-config-'));
    // Nothing listens there.
    const proxy = 'http://127.0.0.1:9';
    const proxies = { default: { httpProxy: proxy, httpsProxy: proxy, ftpProxy: proxy, allProxy: proxy } };
    await writeFile(join(directory.path, 'config.json'), JSON.stringify({ proxies }));
    const before = process.env.DOCKER_CONFIG;
    const recreate = () =>
      stack.compose('up', '--detach', '--force-recreate', '--wait', '--no-deps', ...SERVICES);
    try {
      process.env.DOCKER_CONFIG = directory.path;
      await recreate();
      for (const service of SERVICES) {
        const id = await container(service);
        for (const name of ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'])
          expect(await inspect(id, '{{json .Config.Env}}')).toContain(`"${name}=${proxy}"`);
        expect(await inspect(id, '{{.State.Health.Status}}')).toBe('healthy');
      }
      const number = await visit();
      expect(await visit()).toBe(number + 1);
    } finally {
      if (before === undefined) delete process.env.DOCKER_CONFIG;
      else process.env.DOCKER_CONFIG = before;
      await recreate();
    }
  });
});

describe("Docker's address pools outside the private ranges", () => {
  it('let this machine reset, as those inside do', { timeout: 180_000 }, async () => {
    await using other = await Stack.start('other-pools', 'test/counter/stack/other-pools.yml');
    expect(await other.on('edge', 'nginx', 'Gateway')).toMatch(/^100\.64\./);
    expect((await reset({}, other.address)).status).toBe(200);
    expect(await (await fetch(other.address)).text()).toContain('viewed 1 time');
    // A client that is not this machine is a stranger, whatever it says.
    expect((await reset({ 'X-Forwarded-For': '127.0.0.1' }, other.address)).status).toBe(403);
  });
});

describe('a proxy in front', () => {
  const client = async (since: string) => {
    await until(async () => (await stack.logs('nginx', since)).length > 0);
    return (await stack.logs('nginx', since)).at(-1)?.client;
  };

  it('that nobody named lets nobody reset, and the answer names the setting', async () => {
    for (const header of ['X-Forwarded-For', 'Forwarded', 'Via', 'X-Real-IP']) {
      const { status, text } = await reset({ [header]: '10.0.0.1' });
      expect([header, status, text]).toEqual([header, 403, expect.stringContaining('TRUSTED_PROXIES')]);
    }
    expect((await reset()).status).toBe(200);
  });

  it('that is misspelt stops nginx, with the remedy', async () => {
    const run = stack.compose(
      'run',
      '--rm',
      '--no-deps',
      '-e',
      'TRUSTED_PROXIES=10.0.0.1 lb.example',
      'nginx',
    );
    await expect(run).rejects.toMatchObject({
      stdout: expect.stringContaining("'lb.example': give addresses"),
    });
  });

  describe('that is named', () => {
    beforeAll(async () => {
      const gateway = await stack.on('edge', 'nginx', 'Gateway');
      // As a proxy on this machine would reach nginx, and another one before it.
      await stack.up({ TRUSTED_PROXIES: `198.51.100.0/24, ${gateway}` });
    });
    afterAll(() => stack.up());

    it.each([
      ['a public client', '8.8.8.8', 403, '8.8.8.8'],
      ['a private client', '10.1.2.3', 200, '10.1.2.3'],
      ['a public client that lies', '10.1.2.3, 8.8.8.8', 403, '8.8.8.8'],
      ['a public client through two proxies', '8.8.8.8, 198.51.100.7', 403, '8.8.8.8'],
      ['a client on IPv6', '2001:db8::1', 403, '2001:db8::1'],
    ])('tells nginx, its log and the guard of %s', async (_who, forwarded, status, logged) => {
      const since = new Date().toISOString();
      expect((await reset({ 'X-Forwarded-For': forwarded })).status).toBe(status);
      expect(await client(since)).toBe(logged);
    });

    it.each([
      {},
      { Via: '1.1 lb' },
      { 'X-Forwarded-For': 'nonsense' },
      { 'X-Forwarded-For': '198.51.100.7' },
    ])('lets nobody reset when it does not say for whom it asks: %j', async (headers) => {
      const { status, text } = await reset(headers);
      expect([status, text]).toEqual([403, expect.stringContaining('TRUSTED_PROXIES')]);
    });
  });
});

describe('a load balancer in front', () => {
  const health = async () => (await fetch(`${stack.address}/health`)).status;
  const healthWithout = async (service: string) => {
    const heal = await pause(await container(service));
    return health().finally(heal);
  };

  it('learns from /health whether the stack can count, and counts nothing by asking', async () => {
    const before = await visit();
    expect(await health()).toBe(200);
    expect(await healthWithout('postgres')).toBe(503);
    await until(async () => (await health()) === 200);
    expect(await healthWithout('redis')).toBe(200);
    expect(await visit()).toBe(before + 1);
  });
});
