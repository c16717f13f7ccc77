import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { parse } from 'pg-connection-string';
import { describe, expect, it } from 'vitest';
import { type Config, ConfigError, readConfig, Settings } from './config.ts';

const DB = { DATABASE_URL: 'postgres://db/linode' };
const PARTS = { PGHOST: 'db', PGUSER: 'web' };

/** What this environment says. */
function read(env: NodeJS.ProcessEnv): Config {
  const settings = new Settings(env);
  const config = readConfig(settings);
  settings.check();
  return config;
}

/** The error that this environment is refused with. */
function refusal(env: NodeJS.ProcessEnv): ConfigError {
  try {
    throw new Error(`accepted: ${inspect(read(env))}`);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

/** Expects these faults, and no other, in this order. */
const expectFaults = (env: NodeJS.ProcessEnv, ...faults: RegExp[]) =>
  expect(refusal(env).message.split('\n')).toEqual([
    `the configuration has ${faults.length} fault(s):`,
    ...faults.map((fault) => expect.stringMatching(fault)),
  ]);

/** Lends a file that holds `content`. */
function withFile(content: string, use: (file: string, directory: string) => void): void {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'config-test-'));
  const file = join(directory.path, 'secret');
  writeFileSync(file, content);
  use(file, directory.path);
}

describe('readConfig', () => {
  it('has a default for everything but Postgres, and takes an empty variable for one that is not set', () => {
    const times = {
      redisTimeoutMs: 150,
      postgresTimeoutMs: 750,
      shutdownGraceMs: 8000,
    };
    const urls = { redisUrl: undefined, postgresUrl: DB.DATABASE_URL };
    const defaults: Config = {
      trustProxyHops: 0,
      port: 8000,
      logLevel: 'info',
      ...urls,
      ...times,
    };
    expect(read(DB)).toStrictEqual(defaults);
    const empty = { PORT_FILE: '', LOG_LEVEL: '', REDIS_URL: '', PGHOST: '', DATABASE_URL_FILE: '' };
    expect(read({ ...DB, ...empty })).toStrictEqual(defaults);
  });

  it.each<[string, keyof Config, string]>([
    [
      'DATABASE_URL',
      'postgresUrl',
      'postgres://web:p%40ss@db:6432/linode?sslmode=verify-full&sslrootcert=system&x=1',
    ],
    ['DATABASE_URL', 'postgresUrl', 'postgresql://[::1]'],
    ['DATABASE_URL', 'postgresUrl', 'postgres://web:a,b@one:5432,two/linode?target_session_attrs=read-write'],
    ['REDIS_URL', 'redisUrl', 'redis://redis:6379/1'],
    ['REDIS_URL', 'redisUrl', 'rediss://user:pw@redis'],
    ['LOG_LEVEL', 'logLevel', 'silent'],
  ])('takes %s as it is, for %s: %s', (name, key, value) => {
    expect(read({ ...DB, [name]: value })[key]).toBe(value);
  });

  it('builds a URL from parts, whatever characters they hold', () => {
    const password = `p@ss:w/o?r#d%41%&=+ [x]'"\\^|é€`;
    const who = { PGUSER: 'web@db:1', PGPASSWORD: password, PGDATABASE: 'my-db_1' };
    withFile('certificate', (file) => {
      const tls = { PGSSLMODE: 'verify-full', PGSSLROOTCERT: file };
      expect(parse(read({ PGHOST: 'pg', PGPORT: '6432', ...who, ...tls }).postgresUrl)).toMatchObject({
        host: 'pg',
        port: '6432',
        user: 'web@db:1',
        password,
        database: 'my-db_1',
        ssl: { ca: 'certificate' },
      });
    });
  });

  it.each(['db', '10.0.0.1', '::1', '/var/run/postgresql', 'one,two,3.internal'])(
    'takes %s for a PGHOST',
    (host) => {
      expect(parse(read({ PGHOST: host, PGUSER: 'web' }).postgresUrl).host).toBe(host);
    },
  );

  it('needs of the parts only host and user, who names the database too', () => {
    const { host, port, user, database } = parse(read(PARTS).postgresUrl);
    expect({ host, port, user, database }).toEqual({
      host: 'db',
      port: '5432',
      user: 'web',
      database: 'web',
    });
  });

  it.each([
    ['secret', 'secret'],
    ['secret\n', 'secret'],
    ['secret\r\n', 'secret'],
    [' two\nlines \n\n', ' two\nlines \n'],
  ])('reads a value from NAME_FILE and drops only its last line break: %j', (content, value) => {
    withFile(content, (file) => {
      expect(parse(read({ ...PARTS, PGPASSWORD_FILE: file }).postgresUrl).password).toBe(value);
    });
  });

  const integers: [string, number, number, number, (config: Config) => number][] = [
    ['PORT', 0, 65_535, 8000, (config) => config.port],
    ['REDIS_TIMEOUT_MS', 1, 60_000, 150, (config) => config.redisTimeoutMs],
    ['POSTGRES_TIMEOUT_MS', 1, 60_000, 750, (config) => config.postgresTimeoutMs],
    ['TRUST_PROXY_HOPS', 0, 9, 0, (config) => config.trustProxyHops],
    ['SHUTDOWN_GRACE_MS', 0, 600_000, 8000, (config) => config.shutdownGraceMs],
    ['PGPORT', 1, 65_535, 5432, (config) => Number(parse(config.postgresUrl).port)],
  ];
  it.each(integers)('takes %s from %i to %i, or %i when empty', (name, least, most, fallback, pick) => {
    const taken = ['', least, most].map((value) => pick(read({ ...PARTS, [name]: `${value}` })));
    expect(taken).toEqual([fallback, least, most]);
  });

  it.each(integers)('refuses %s that is no whole number from %i to %i', (name, least, most, fallback) => {
    const wrong = ['x', '-1', '1.5', '700000', '1e3', '0x10', ' 80', '9'.repeat(30), least - 1, most + 1];
    for (const value of wrong) {
      const remedy = `give a whole number from ${least} to ${most}, or leave it out for ${fallback}$`;
      expectFaults({ ...PARTS, [name]: `${value}` }, new RegExp(`${name} is '${value}': ${remedy}`));
    }
  });

  const redis = /REDIS_URL is not a URL of the form redis:\/\/host or rediss:\/\/host: correct it/;
  const postgres = /DATABASE_URL is not a URL of the form postgres:\/\/.* or postgresql:\/\/host: correct it/;
  const nowhere = /DATABASE_URL is not set, nor PGHOST and PGUSER: say where Postgres is/;
  it.each<[string, NodeJS.ProcessEnv, RegExp]>([
    ['port 70000', { ...DB, PORT: '70000' }, /PORT is '70000': give a whole number/],
    ['an unknown level', { ...DB, LOG_LEVEL: 'INFO' }, /LOG_LEVEL is 'INFO': give one of fatal,/],
    ['a REDIS_URL of another scheme', { ...DB, REDIS_URL: 'http://redis' }, redis],
    ['a REDIS_URL without a host', { ...DB, REDIS_URL: 'redis://' }, redis],
    ['a DATABASE_URL of another scheme', { DATABASE_URL: 'mysql://db/x' }, postgres],
    ['a DATABASE_URL without a host', { DATABASE_URL: 'postgres:///linode' }, postgres],
    ['a DATABASE_URL that is no URL', { DATABASE_URL: 'db' }, postgres],
    ['a URL and its parts', { ...DB, ...PARTS }, /DATABASE_URL and PGHOST, PGUSER are set: set the URL or/],
    [
      'a file that is not there in place of parts',
      { PGHOST_FILE: '/no' },
      /PGHOST_FILE names a file that cannot/,
    ],
    ['an environment with neither', {}, nowhere],
    ['parts without a user', { PGHOST: 'db' }, nowhere],
    ['parts without a host', { PGUSER: 'web' }, nowhere],
    [
      'a PGHOST with more than a host',
      { ...PARTS, PGHOST: 'u:pw@db' },
      /PGHOST is not a host name, an address/,
    ],
    ['a PGDATABASE no URL can name', { ...PARTS, PGDATABASE: 'a/b' }, /PGDATABASE is not a name of letters/],
    [
      'a user who is no such name either',
      { ...PARTS, PGUSER: 'a/b' },
      /PGDATABASE is not set and PGUSER is not/,
    ],
    [
      'a broken escape',
      { DATABASE_URL: 'postgres://u:p%E9@h/x' },
      /DATABASE_URL cannot be used .*: correct it/,
    ],
    [
      'a certificate that is not there',
      { ...PARTS, PGSSLROOTCERT: '/no/ca' },
      /PG\S+ variables cannot be used .*ENOENT/,
    ],
    [
      'an sslmode that libpq does not know',
      { ...PARTS, PGSSLMODE: 'no-verify' },
      /variables cannot be used \(sslmode is 'no-verify': give one of disable, allow, prefer, require, verify-ca, verify-/,
    ],
    [
      'to verify by no authority',
      { DATABASE_URL: 'postgres://db/x?sslmode=verify-ca' },
      /DATABASE_URL cannot be used \(sslmode is 'verify-ca' and sslrootcert is not set: name the file/,
    ],
    [
      'to trust all authorities and not ask for the name',
      { ...PARTS, PGSSLMODE: 'require', PGSSLROOTCERT: 'system' },
      /sslrootcert is 'system' and sslmode is 'require': give verify-full, or name a file/,
    ],
    [
      'an ssl of another client',
      { DATABASE_URL: 'postgres://db/x?ssl=no' },
      /ssl is 'no': libpq knows ssl=true/,
    ],
    [
      'a standby where writes are wanted, in words of another kind',
      { ...PARTS, PGTARGETSESSIONATTRS: 'primary' },
      /target_session_attrs is 'primary': give any, or read-write for/,
    ],
    [
      'two ports for three hosts',
      { DATABASE_URL: 'postgres://x/x?host=one,two,three&port=1,2' },
      /port lists 2 and host lists 3: give one port, or one for each host/,
    ],
    [
      'a list with an empty host',
      { DATABASE_URL: 'postgres://one,,two/x' },
      /DATABASE_URL is not a URL of the form/,
    ],
    ['NAME and NAME_FILE', { ...DB, PORT: '1', PORT_FILE: '/x' }, /PORT and PORT_FILE are both set: set one/],
  ])('refuses %s', (_what, env, fault) => expectFaults(env, fault));

  it.each(['HOST', 'PORT', 'USER', 'PASSWORD', 'DATABASE', 'SSLMODE', 'SSLROOTCERT', 'TARGETSESSIONATTRS'])(
    'refuses DATABASE_URL together with PG%s',
    (part) =>
      expectFaults({ ...DB, [`PG${part}`]: '1' }, new RegExp(`DATABASE_URL and PG${part} are set: set`)),
  );

  it.each(['', '\n', '\r\n'])('refuses a file that holds nothing: %j', (content) => {
    const fault = /REDIS_URL_FILE names \/.*\/secret, which is empty: write the value into it/;
    withFile(content, (file) => expectFaults({ ...DB, REDIS_URL_FILE: file }, fault));
  });

  it('refuses a file that is missing and one that is a directory', () => {
    const missing = /PORT_FILE names a file that cannot be read \(ENOENT.*: name a readable one/;
    withFile('', (file, directory) => {
      const env = { ...DB, PORT_FILE: `${file}.missing`, REDIS_URL_FILE: directory };
      expectFaults(env, missing, /REDIS_URL_FILE names .* \(EISDIR.*: name a readable one/);
    });
  });

  it('reports all faults in one error, each with its variable and its remedy', () => {
    const urls = { REDIS_URL: 'redis', DATABASE_URL: 'postgres://', PGHOST: 'db' };
    const env = { PORT: 'x', LOG_LEVEL: 'loud', SHUTDOWN_GRACE_MS: '-1', ...urls };
    const both = /DATABASE_URL and PGHOST are set: set the URL or its parts/;
    const [port, level, grace] = [/PORT is 'x': give/, /LOG_LEVEL is 'loud': give/, /GRACE_MS is '-1': give/];
    expectFaults(env, port, level, redis, postgres, both, grace);
  });

  it.each([
    'user:geheim@host',
    'http://user:geheim@host/',
    'postgres://user:geheim@',
    'redis://user:geheim@host:port',
    'postgres://user:geheim@ho st/x',
  ])('never quotes the password of a malformed URL: %s', (url) => {
    withFile(url, (file) => {
      const inFiles = refusal({ DATABASE_URL_FILE: file, REDIS_URL_FILE: file });
      for (const error of [refusal({ DATABASE_URL: url, REDIS_URL: url, PGPASSWORD: 'geheim' }), inFiles]) {
        expect(error.message).toMatch(/REDIS_URL is not .*\n.*DATABASE_URL is not /);
        expect(inspect(error)).not.toContain('geheim');
      }
    });
  });
});
