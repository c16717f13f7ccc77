import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type Config, ConfigError, readConfig } from './config.ts';

const DB = { DATABASE_URL: 'postgres://db/linode' };
const PARTS = { PGHOST: 'db', PGUSER: 'web' };

/** The error that this environment is refused with. */
function refusal(env: NodeJS.ProcessEnv): ConfigError {
  try {
    throw new Error(`accepted: ${inspect(readConfig(env))}`);
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

describe('what readConfig accepts', () => {
  it('has a default for everything but Postgres, and takes an empty variable for one that is not set', () => {
    const times = {
      redisTimeoutMs: 150,
      postgresTimeoutMs: 750,
      postgresWaitMs: 5000,
      shutdownGraceMs: 8000,
    };
    const urls = { redisUrl: undefined, postgresUrl: DB.DATABASE_URL };
    const defaults: Config = { port: 8000, logLevel: 'info', ...urls, ...times };
    const empty = {
      PORT: '',
      PORT_FILE: '',
      LOG_LEVEL: '',
      REDIS_URL: '',
      PGHOST: '',
      DATABASE_URL_FILE: '',
    };
    expect(readConfig(DB)).toStrictEqual(defaults);
    expect(readConfig({ ...DB, ...empty })).toStrictEqual(defaults);
  });

  it.each<[string, keyof Config, string]>([
    ['DATABASE_URL', 'postgresUrl', 'postgres://web:p%40ss@db:6432/linode?sslmode=verify-full&x=1'],
    ['DATABASE_URL', 'postgresUrl', 'postgresql://[::1]'],
    ['REDIS_URL', 'redisUrl', 'redis://redis:6379/1'],
    ['REDIS_URL', 'redisUrl', 'rediss://user:pw@redis'],
    ['LOG_LEVEL', 'logLevel', 'silent'],
  ])('takes %s as it is', (name, key, value) => {
    expect(readConfig({ ...DB, [name]: value })[key]).toBe(value);
  });

  it('builds a URL from parts, whatever characters they hold', () => {
    const password = `p@ss:w/o?r#d%41%&=+ [x]'"\\^|é€`;
    const tls = { PGSSLMODE: 'verify-full', PGSSLROOTCERT: '/run/secrets/a&b #1.crt' };
    const who = { PGUSER: 'web@db:1', PGPASSWORD: password, PGDATABASE: 'my db' };
    const url = new URL(readConfig({ PGHOST: 'pg', PGPORT: '6432', ...who, ...tls }).postgresUrl);
    expect([url.protocol, url.host]).toEqual(['postgres:', 'pg:6432']);
    const decoded = [url.username, url.password, url.pathname].map(decodeURIComponent);
    expect(decoded).toEqual(['web@db:1', password, '/my db']);
    const query = { sslmode: 'verify-full', sslrootcert: tls.PGSSLROOTCERT };
    expect(Object.fromEntries(url.searchParams)).toEqual(query);
  });

  it('needs of the parts only host and user, who names the database too', () => {
    expect(readConfig(PARTS).postgresUrl).toBe('postgres://web@db:5432/web');
  });

  it.each([
    ['secret', 'secret'],
    ['secret\n', 'secret'],
    ['secret\r\n', 'secret'],
    [' two\nlines \n\n', ' two\nlines \n'],
  ])('reads a value from NAME_FILE and drops only its last line break: %j', (content, value) => {
    withFile(content, (file) => {
      const url = new URL(readConfig({ ...PARTS, PGPASSWORD_FILE: file }).postgresUrl);
      expect(decodeURIComponent(url.password)).toBe(value);
    });
  });
});

describe('integers', () => {
  const integers: [string, number, number, number, (config: Config) => number][] = [
    ['PORT', 0, 65_535, 8000, (config) => config.port],
    ['REDIS_TIMEOUT_MS', 1, 60_000, 150, (config) => config.redisTimeoutMs],
    ['POSTGRES_TIMEOUT_MS', 1, 60_000, 750, (config) => config.postgresTimeoutMs],
    ['POSTGRES_WAIT_MS', 1, 600_000, 5000, (config) => config.postgresWaitMs],
    ['SHUTDOWN_GRACE_MS', 0, 600_000, 8000, (config) => config.shutdownGraceMs],
    ['PGPORT', 1, 65_535, 5432, (config) => Number(new URL(config.postgresUrl).port)],
  ];
  it.each(integers)('takes %s from %i to %i, or %i when empty', (name, least, most, fallback, read) => {
    const taken = ['', least, most].map((value) => read(readConfig({ ...PARTS, [name]: `${value}` })));
    expect(taken).toEqual([fallback, least, most]);
  });

  it.each(
    integers.flatMap(([name, least, most, fallback]) =>
      ['x', '-1', '1.5', '1e3', '0x10', ' 80', '700000', '9'.repeat(30), `${least - 1}`, `${most + 1}`].map(
        (value): [string, string, string] => [name, value, `from ${least} to ${most}, .* for ${fallback}$`],
      ),
    ),
  )("refuses %s '%s'", (name, value, remedy) => {
    const fault = new RegExp(`${name} is '${value}': give a whole number ${remedy}`);
    expectFaults({ ...PARTS, [name]: value }, fault);
  });
});

describe('what readConfig refuses', () => {
  const redis = /REDIS_URL is not a URL of the form redis:\/\/host or rediss:\/\/host: correct it/;
  const postgres =
    /DATABASE_URL is not a URL of the form postgres:\/\/host or postgresql:\/\/host: correct it/;
  const nowhere = /DATABASE_URL is not set, nor PGHOST and PGUSER: say where Postgres is/;
  it.each<[string, NodeJS.ProcessEnv, RegExp]>([
    ['port 70000', { ...DB, PORT: '70000' }, /PORT is '70000': give a whole number/],
    [
      'a LOG_LEVEL that pino has not',
      { ...DB, LOG_LEVEL: 'INFO' },
      /LOG_LEVEL is 'INFO': give one of fatal,/,
    ],
    ['a REDIS_URL of another scheme', { ...DB, REDIS_URL: 'http://redis' }, redis],
    ['a REDIS_URL without a host', { ...DB, REDIS_URL: 'redis://' }, redis],
    ['a DATABASE_URL of another scheme', { DATABASE_URL: 'mysql://db/x' }, postgres],
    ['a DATABASE_URL without a host', { DATABASE_URL: 'postgres:///linode' }, postgres],
    ['a DATABASE_URL that is no URL', { DATABASE_URL: 'db' }, postgres],
    [
      'a URL together with its parts',
      { ...DB, ...PARTS },
      /DATABASE_URL and PGHOST, PGUSER are set: set the/,
    ],
    [
      'a URL and a part in a file',
      { ...DB, PGPASSWORD_FILE: '/x' },
      /DATABASE_URL and PGPASSWORD are set: set/,
    ],
    ['neither a URL nor parts', {}, nowhere],
    ['parts without a user', { PGHOST: 'db' }, nowhere],
    ['parts without a host', { PGUSER: 'web' }, nowhere],
    ['a PGHOST that no host can have', { ...PARTS, PGHOST: '::1' }, /PGHOST is '::1': give a host name/],
    [
      'both NAME and NAME_FILE',
      { ...DB, PORT: '1', PORT_FILE: '/x' },
      /PORT and PORT_FILE are both set: set one/,
    ],
  ])('refuses %s', (_what, env, fault) => expectFaults(env, fault));

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
    const numbers = { PORT: 'x', SHUTDOWN_GRACE_MS: '-1' };
    const env = {
      ...numbers,
      LOG_LEVEL: 'loud',
      REDIS_URL: 'redis',
      DATABASE_URL: 'postgres://',
      PGHOST: 'db',
    };
    const both = /DATABASE_URL and PGHOST are set: set the URL or its parts/;
    const [port, level, grace] = [/PORT is 'x': give/, /LOG_LEVEL is 'loud': give/, /GRACE_MS is '-1': give/];
    expectFaults(env, port, level, redis, postgres, both, grace);
  });

  it.each([
    'http://user:geheim@host/',
    'user:geheim@host',
    'postgres:user:geheim@host',
    'postgres://user:geheim@',
    'redis://user:geheim@host:port',
    'postgres://user:geheim@host:99999/x',
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
