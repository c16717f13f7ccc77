/** The stack's hardening, by effect: what is forbidden is tried on the running containers. */
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { subject } from '../subject.ts';
import { until } from '../support/faults.ts';
import { reaches as canReach, connecting, hasDefaultRoute, outside } from '../support/reach.ts';
import { container, containers, healthy, processes, SERVICES, stack, write } from '../support/services.ts';
import { attempt, docker, inspect } from '../support/stack.ts';

const run = promisify(execFile);
const NODE = '/usr/local/bin/node';
const pid = async (service: string) => inspect(await container(service), '{{.State.Pid}}');

/** Runs a shell command in a service's container, as its user or another. */
const shell = async (service: string, command: string, user?: string) =>
  attempt('docker', 'exec', ...(user ? ['--user', user] : []), await container(service), 'sh', '-c', command);
const script = async (source: string) =>
  attempt('docker', 'exec', await container('web'), NODE, '-e', source);

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

  it('whoever is on the network of nginx alone reaches nothing but nginx', async () => {
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

describe('secrets', () => {
  const secret = async (user: string) =>
    (await docker('exec', await container('postgres'), 'cat', `/run/secrets/${user}/password`)).stdout.trim();

  it('web reads its own password, and has not that of the superuser', async () => {
    const read = (user: string) =>
      script(`console.log(require('node:fs').readFileSync('/run/secrets/${user}/password', 'utf8'))`);
    expect((await read('web')).output.trim()).toBe(await secret('web'));
    expect((await read('postgres')).output).toContain('ENOENT');
  });

  it('the two passwords differ, and are long', async () => {
    const [web, postgres] = [await secret('web'), await secret('postgres')];
    expect(web).not.toBe(postgres);
    for (const password of [web, postgres]) expect(password).toMatch(/^[\w-]{32}$/);
  });

  it('no password is in what docker inspect says, in a log, in a list of processes, or in an image', async () => {
    await write();
    const secrets = [await secret('web'), await secret('postgres')];
    const ids = (await stack.compose('ps', '--all', '--quiet')).trim().split('\n');
    const images = await Promise.all(ids.map((id) => inspect(id, '{{.Image}}')));
    const said = [
      (await docker('inspect', ...ids, ...images)).stdout,
      await stack.compose('logs', '--no-color'),
      JSON.stringify(await Promise.all((await containers()).map(processes))),
      ...(await Promise.all(images.map(async (id) => (await docker('history', '--no-trunc', id)).stdout))),
    ].join('\n');
    expect(said).toContain('PGPASSWORD_FILE');
    for (const password of secrets) expect(said).not.toContain(password);

    // Every file of every container, volumes left out.
    const patterns = secrets.flatMap((password) => ['-e', password]).join(' ');
    const search = async (id: string, pattern: string) =>
      Number(
        (await attempt('sh', '-c', `docker export ${id} | grep --count --text --fixed-strings ${pattern}`))
          .output,
      );
    for (const id of ids) expect(await search(id, patterns)).toBe(0);
    // The search does find what is there.
    expect(await search(await container('web'), `'${subject.holds}'`)).toBeGreaterThan(0);
  });

  it('no process keeps a password in its environment, once the database is there', async () => {
    const secrets = [await secret('web'), await secret('postgres')];
    await stack.compose('restart', 'postgres');
    await healthy(await container('postgres'));
    for (const id of await containers()) {
      for (const { pid } of await processes(id)) {
        const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
        for (const password of secrets) expect(environment).not.toContain(password);
      }
    }
    expect(await readFile(`/proc/${await pid('web')}/environ`, 'utf8')).toContain('PGPASSWORD_FILE');
  });

  it('passwords, which runs as root, has no capability, no network and a root that it cannot write', async () => {
    const id = (await stack.compose('ps', '--all', '--quiet', 'passwords')).trim();
    const host = '{{.HostConfig.CapDrop}} {{.HostConfig.NetworkMode}} {{.HostConfig.ReadonlyRootfs}}';
    expect(await inspect(id, host)).toBe('[ALL] none true');
  });
});

describe('labels', () => {
  it.each([
    ['nginx', ['nginx']],
    // Without what the image of migrate alone is made from: a new migration does not replace Postgres.
    [
      'postgres',
      [
        'postgres',
        ...['migrate.sh', 'migrations', 'privileges.sql'].map((file) => `:(exclude)postgres/${file}`),
      ],
    ],
    // As .dockerignore lets it in.
    ['web', ['.dockerignore', 'package.json', 'package-lock.json', 'web', ':(exclude)web/**/*.test.ts']],
  ])('the image of %s names the last commit that changed what it is made from', async (service, paths) => {
    const labels: Record<string, string> = JSON.parse(
      await inspect(await inspect(await container(service), '{{.Image}}'), '{{json .Config.Labels}}'),
    );
    const label = (name: string) => labels[`org.opencontainers.image.${name}`];
    const git = async (...args: string[]) => (await run('git', args)).stdout.trim();
    const [commit, date] = (await git('log', '-1', '--format=%H %cI', '--', ...paths)).split(' ');
    const changed = (await git('status', '--porcelain', '--', ...paths)) !== '';
    const { version } = JSON.parse(await git('show', `${commit}:package.json`));
    expect(label('revision')).toBe(`${commit}${changed ? '-dirty' : ''}`);
    expect([label('version'), label('created'), label('licenses')]).toEqual([version, date, 'MIT']);
    expect(label('title')).toBe(service);
    expect(label('source')).toMatch(/./);
    expect(label('source')).not.toMatch(/\/\/[^/]*@/);
  });
});
