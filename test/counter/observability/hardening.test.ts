import { describe, expect, it } from 'vitest';
import { until } from '../../support/faults.ts';
import { attempt, docker, inspect } from '../../support/stack.ts';
import { container, stack } from './observed.ts';

const SERVICES = ['status', 'prometheus', 'alertmanager', 'postgres-exporter'];

describe.each(SERVICES)('%s', (service) => {
  it('has no root, no capability and nothing to write but its volumes, and a bound on all that it takes', async () => {
    const [of] = JSON.parse((await docker('inspect', await container(service))).stdout);
    const { HostConfig: host } = of;
    expect(host).toMatchObject({
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges:true'],
      RestartPolicy: { Name: 'always' },
      LogConfig: { Config: { 'max-size': '10m', 'max-file': '3' } },
      MemorySwap: host.Memory,
    });
    expect(host.Memory).toBeGreaterThan(0);
    expect(host.PidsLimit).toBeGreaterThan(0);
    expect(host.NanoCpus).toBeGreaterThan(0);
    const { stdout } = await docker('top', await container(service), '-eo', 'pid,uid');
    const users = stdout
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => Number(line.trim().split(/\s+/)[1]));
    expect(users).not.toEqual([]);
    for (const user of users) expect(user).toBeGreaterThan(0);
  });

  it('is reached from this machine alone, if at all', async () => {
    const ports = JSON.parse(await inspect(await container(service), '{{json .NetworkSettings.Ports}}'));
    const hosts = Object.values(ports as Record<string, { HostIp: string }[] | null>).flatMap((each) =>
      (each ?? []).map(({ HostIp }) => HostIp),
    );
    expect(hosts).toEqual(['prometheus', 'alertmanager'].includes(service) ? ['127.0.0.1'] : []);
  });
});

it("the exporter's role reads statistics, and no table", async () => {
  const password = await stack.compose(
    'run',
    '--rm',
    '--no-deps',
    '--entrypoint',
    'cat',
    'monitor-role',
    '/run/secrets/monitor/password',
  );
  const ask = async (query: string) =>
    attempt(
      ...(['docker', 'exec', '--env', `PGPASSWORD=${password.trim()}`, await container('postgres')] as [
        string,
        ...string[],
      ]),
      ...['psql', '--host', '127.0.0.1', '--username', 'stack_monitor', '-Atc', query],
    );
  expect((await ask('SELECT count(*) > 0 FROM pg_ls_waldir()')).output).toBe('t\n');
  expect((await ask('SELECT * FROM visitors')).output).toContain('permission denied for table visitors');
  expect((await ask('CREATE TEMPORARY TABLE t ()')).output).toContain('permission denied');
});

it("visitors are served while the disk of NGINX's second log is full, and what comes after is counted", async () => {
  const nginx = await container('nginx');
  const status = await container('status');
  const counted = async () => {
    const { stdout } = await docker('exec', status, '/usr/local/bin/node', 'healthcheck.cjs', '/metrics');
    return Number(/^edge_requests_total\{status="405"\} (\d+)$/m.exec(stdout)?.[1] ?? 0);
  };
  // No other asks so.
  const ask = async () => (await fetch(stack.address, { method: 'DELETE' })).status;
  await docker('exec', nginx, 'sh', '-c', 'cat /dev/zero > /run/edge-log/filler || true');
  for (let i = 0; i < 20; i++) expect(await ask()).toBe(405);
  await docker('exec', nginx, 'rm', '/run/edge-log/filler');
  const before = await counted();
  for (let i = 0; i < 20; i++) expect(await ask()).toBe(405);
  await until(async () => (await counted()) >= before + 20);
});
