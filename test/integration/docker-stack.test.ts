/** The stack for a Swarm says the same as docker-compose.yml, but for what its comments name. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';

interface Service {
  deploy: { resources: { limits: object }; endpoint_mode?: string; labels?: Record<string, string> };
  command: string[] | null;
  environment: Record<string, string>;
  healthcheck?: { test: string[] };
  networks: object;
  volumes?: { type: string; target: string; tmpfs?: { size: string }; source?: string }[];
  tmpfs?: string[];
  shm_size?: string;
  secrets?: { source: string; target: string }[];
  [key: string]: unknown;
}
interface Stack {
  'x-names'?: { database: string; owner: string; role: string };
  services: Record<string, Service>;
  networks: Record<string, { internal?: boolean; driver?: string; driver_opts?: object }>;
}

/** What the files' variables are: swarm/deploy.sh sets them. */
const VARIABLES = [
  ...['DEPLOY', 'WEB', 'NGINX', 'MIGRATE', 'REDIS', 'PATRONI', 'POSTGRES', 'MANAGER_ID'],
  ...['POSTGRES_PASSWORD', 'WEB_PASSWORD', 'REPLICATION_PASSWORD', 'DATABASE_URL', 'REDIS_URL'].map(
    (name) => `${name}_SECRET`,
  ),
  ...['AUTHORITY_SECRET', 'CERTIFICATE_SECRET', 'RESET_TOKEN_SECRET'],
];

function composed(input: string, env: NodeJS.ProcessEnv, ...files: string[]): Stack {
  // Whatever .env says, which `docker stack` does not read.
  const options = [
    'compose',
    '--env-file',
    '/dev/null',
    ...files.flatMap((file) => ['--file', file]),
    'config',
    '--format',
    'json',
  ];
  return JSON.parse(
    execFileSync('docker', options, { input, env, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] }),
  );
}

const compose = composed('', process.env, 'docker-compose.yml');

/** Files of swarm/ as `docker stack deploy` takes them. @throws what it has against them */
function stack(...names: string[]): Stack {
  const set = Object.fromEntries(VARIABLES.map((name) => [name, name.toLowerCase()]));
  const env = { ...process.env, ...set, ...compose['x-names'] };
  const files = names.flatMap((name) => ['--compose-file', `swarm/${name}.yml`]);
  const yaml = execFileSync('docker', ['stack', 'config', ...files], {
    env,
    encoding: 'utf8',
    stdio: 'pipe',
  });
  return composed(yaml, env, '-');
}

const megabytes = (size = '') =>
  Number.parseFloat(size) * (/k$/.test(size) ? 1 / 1024 : /m$/.test(size) ? 1 : 2 ** -20);
/** Where a container may write, and how many megabytes. */
const temporary = ({ tmpfs = [], volumes = [], shm_size }: Service) =>
  Object.fromEntries([
    ...tmpfs.map((line) => [line.split(':')[0], megabytes(/size=(\w+)/.exec(line)?.[1])]),
    ...volumes
      .filter(({ type }) => type === 'tmpfs')
      .map(({ target, tmpfs }) => [target, megabytes(tmpfs?.size)]),
    ...(shm_size ? [['/dev/shm', megabytes(shm_size)]] : []),
  ]);
const alike = (service: Service) => ({
  entrypoint: service.entrypoint,
  command: service.command,
  user: service.user,
  init: service.init,
  read_only: service.read_only,
  cap_drop: service.cap_drop,
  logging: service.logging,
  ulimits: service.ulimits,
  stop_grace_period: service.stop_grace_period,
  limits: service.deploy.resources.limits,
  healthcheck: service.healthcheck && { ...service.healthcheck, test: service.healthcheck.test.slice(0, 3) },
  temporary: temporary(service),
});

describe('the stack for a Swarm', () => {
  let single: Stack;
  beforeAll(() => {
    single = stack('docker-stack', 'redis', 'single-postgres');
  });

  it.each(['nginx', 'web', 'redis', 'postgres', 'migrate'])(
    'gives %s what docker-compose.yml gives it',
    (name) => {
      const service = single.services[name] as Service;
      expect(alike(service)).toEqual(alike(compose.services[name] as Service));
      expect(Object.keys(service.networks)).toEqual(Object.keys(compose.services[name]?.networks ?? {}));
    },
  );

  it.each(['nginx', 'web', 'postgres'])(
    'tells %s the same, but for what is a secret or takes longer',
    (name) => {
      const wait = { POSTGRES_WAIT_MS: '40000' };
      const told = { ...compose.services[name]?.environment };
      // Their overlay is reset-token.yml.
      delete told.RESET_TOKEN;
      delete told.RESET_TOKEN_FILE;
      expect(single.services[name]?.environment).toEqual({ ...told, ...(name === 'postgres' ? {} : wait) });
    },
  );

  it('splits the networks as docker-compose.yml does', () => {
    for (const name of ['edge', 'front', 'back'])
      expect([name, single.networks[name]?.internal]).toEqual([name, compose.networks[name]?.internal]);
  });

  it('gives each Postgres of three the limits and settings of the one', () => {
    const { services } = stack('docker-stack', 'postgres');
    const flags = (compose.services.postgres?.command ?? []).slice(1);
    const patroni = readFileSync('swarm/patroni/patroni.yml', 'utf8');
    for (const flag of flags) {
      const [, name = '', value] = /^--([a-z-]+)=(.*)$/.exec(flag) ?? [];
      expect(patroni).toContain(` ${name.replaceAll('-', '_')}: ${value}\n`);
    }
    for (const n of [1, 2, 3]) {
      const service = services[`postgres-${n}`] as Service;
      const { user, read_only, cap_drop, logging, temporary, ulimits, stop_grace_period } = alike(service);
      const expected = alike(compose.services.postgres as Service);
      expect(expected).toMatchObject({
        user,
        read_only,
        cap_drop,
        logging,
        temporary,
        ulimits,
        stop_grace_period,
      });
    }
  });

  it.each([
    ['three Postgres', ['redis', 'postgres']],
    ['one Postgres', ['redis', 'single-postgres']],
    ['stores elsewhere', ['external-postgres', 'external-redis', 'authority']],
    ['a token for resets', ['redis', 'postgres', 'reset-token']],
    ['HTTPS', ['redis', 'postgres', 'https']],
  ])('is taken by Swarm with %s, encrypted or not', (_what, files) => {
    for (const encryption of [[], ['encryption']]) {
      const { services, networks } = stack('docker-stack', ...files, ...encryption);
      for (const [name, { deploy }] of Object.entries(services)) {
        // A job has no endpoint. The label is what deploy.sh knows an update by.
        if (name !== 'migrate')
          expect([name, deploy.endpoint_mode, deploy.labels]).toEqual([name, 'dnsrr', { deploy: 'deploy' }]);
      }
      const used = new Set(Object.values(services).flatMap((service) => Object.keys(service.networks)));
      for (const name of used) {
        const open = ['edge', 'outside'].includes(name);
        expect([name, networks[name]?.driver]).toEqual([name, 'overlay']);
        if (!open && encryption.length > 0) expect(networks[name]?.driver_opts).toEqual({ encrypted: '' });
        else expect(networks[name]?.driver_opts).toBeUndefined();
        expect([name, networks[name]?.internal]).toEqual([name, open ? undefined : true]);
      }
    }
  });

  it('lets web reach stores elsewhere, and nothing else', () => {
    const networks = (...files: string[]) =>
      Object.entries(stack('docker-stack', ...files).services).map(([name, { networks }]) => [
        name,
        Object.keys(networks),
      ]);
    expect(Object.fromEntries(networks('external-postgres', 'external-redis'))).toEqual({
      migrate: ['back'],
      nginx: ['edge', 'front'],
      web: ['back', 'front', 'outside'],
    });
    expect(networks('redis', 'single-postgres').flatMap(([, names]) => names)).not.toContain('outside');
  });

  it('puts nothing secret into an environment', () => {
    const { services } = stack(
      'docker-stack',
      'external-postgres',
      'external-redis',
      'authority',
      'reset-token',
    );
    expect(services.web?.environment).toEqual({
      LOG_LEVEL: 'info',
      POSTGRES_WAIT_MS: '40000',
      TRUST_PROXY_HOPS: '1',
      DATABASE_URL_FILE: '/run/secrets/database_url',
      REDIS_URL_FILE: '/run/secrets/redis_url',
      RESET_TOKEN_FILE: '/run/secrets/reset_token',
      NODE_EXTRA_CA_CERTS: '/run/secrets/authority',
    });
    const secrets = services.web?.secrets?.map(({ source }) => source).toSorted();
    expect(secrets).toEqual(['authority', 'database-url', 'redis-url', 'reset-token']);
  });
});
