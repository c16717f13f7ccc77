import { readFileSync } from 'node:fs';
import { parsePostgresUrl } from './postgres-url.ts';
import { reason } from './reason.ts';

export interface Config {
  port: number;
  logLevel: string;
  /** Undefined: run without Redis, Postgres counts. */
  redisUrl: string | undefined;
  redisTimeoutMs: number;
  postgresUrl: string;
  postgresTimeoutMs: number;
  /** How long a visit waits for a Postgres that is away. */
  postgresWaitMs: number;
  shutdownGraceMs: number;
  /** How many proxies stand in front and say, in X-Forwarded-For, for whom they ask. */
  trustProxyHops: number;
  /** Undefined: resetting takes no token. */
  resetToken: string | undefined;
}

/** What is wrong with the configuration: all of it at once, each fault with its remedy. */
export class ConfigError extends Error {
  override name = 'ConfigError';

  constructor(faults: string[]) {
    super(
      `the configuration has ${faults.length} fault(s):\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
    );
  }
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/**
 * Reads the configuration from environment variables. Each NAME may be given as NAME_FILE instead: the path of a
 * file that holds the value (a secret), whose last line break does not count.
 * @throws ConfigError naming every fault.
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const faults: string[] = [];

  function text(name: string): string | undefined {
    const value = env[name] || undefined;
    const file = env[`${name}_FILE`] || undefined;
    if (value !== undefined && file !== undefined) {
      faults.push(`${name} and ${name}_FILE are both set: set one of them`);
    } else if (file !== undefined) {
      try {
        const content = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
        if (content === '')
          faults.push(`${name}_FILE names ${file}, which is empty: write the value into it`);
        return content || undefined;
      } catch (error) {
        faults.push(`${name}_FILE names a file that cannot be read (${reason(error)}): name a readable one`);
      }
    }
    return value;
  }

  function integer(name: string, fallback: number, least: number, most: number): number {
    const value = text(name);
    if (value === undefined) return fallback;
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= least && number <= most) return number;
    faults.push(
      `${name} is '${value}': give a whole number from ${least} to ${most}, or leave it out for ${fallback}`,
    );
    return fallback;
  }

  /** The value may hold a password: no fault quotes it. */
  function url(name: string, protocols: string[]): string | undefined {
    const value = text(name);
    if (value === undefined) return undefined;
    const parsed = URL.parse(value);
    if (!parsed || !protocols.includes(parsed.protocol) || parsed.hostname === '') {
      faults.push(
        `${name} is not a URL of the form ${protocols.map((p) => `${p}//host`).join(' or ')}: correct it`,
      );
    }
    return value;
  }

  /** As url(), for a name that a message may quote. */
  function name(variable: string, pattern: RegExp, form: string): string | undefined {
    const value = text(variable);
    if (value !== undefined && !pattern.test(value)) faults.push(`${variable} is not ${form}: correct it`);
    return value;
  }

  /** DATABASE_URL, or a URL made of the parts that libpq knows too: TLS is then one matter, not two. */
  function postgres(): string {
    const before = faults.length;
    const whole = url('DATABASE_URL', ['postgres:', 'postgresql:']);
    const host = name('PGHOST', /^(\/|[\w.:-]+$)/, 'a host name, an address or the directory of a socket');
    const user = text('PGUSER');
    const plain = /^[\w.-]+$/;
    const database = name('PGDATABASE', plain, 'a name of letters, digits, _, . and -') ?? user;
    if (database === user && user !== undefined && !plain.test(user)) {
      faults.push('PGDATABASE is not set and PGUSER is not the name of a database: set PGDATABASE');
    }
    const parts = {
      host,
      port: String(integer('PGPORT', 5432, 1, 65_535)),
      user,
      password: text('PGPASSWORD'),
      sslmode: text('PGSSLMODE'),
      sslrootcert: text('PGSSLROOTCERT'),
    };
    const given = Object.keys({ ...parts, database }).map((part) => `PG${part.toUpperCase()}`);
    const set = given.filter((variable) => env[variable] || env[`${variable}_FILE`]);
    if (whole !== undefined) {
      if (set.length > 0) faults.push(`DATABASE_URL and ${set.join(', ')} are set: set the URL or its parts`);
    } else if (faults.length === before && (host === undefined || user === undefined)) {
      faults.push('DATABASE_URL is not set, nor PGHOST and PGUSER: say where Postgres is');
    }
    if (faults.length > before) return '';

    const made = new URL(`postgres://parts/${database}`);
    for (const [part, value] of Object.entries(parts)) {
      if (value !== undefined) made.searchParams.set(part, value);
    }
    const connectionString = whole ?? made.href;
    try {
      parsePostgresUrl(connectionString);
    } catch (error) {
      const which = whole ? 'DATABASE_URL' : 'the PG... variables';
      faults.push(`${which} cannot be used (${reason(error)}): correct it`);
    }
    return connectionString;
  }

  function resetToken(): string | undefined {
    const token = text('RESET_TOKEN');
    if (token !== undefined && !/^[\w.~+/-]+=*$/.test(token))
      faults.push(
        'RESET_TOKEN holds what a bearer token cannot: letters, digits, - . _ ~ + / and = at its end can',
      );
    return token;
  }

  function logLevel(): string {
    const level = text('LOG_LEVEL') ?? 'info';
    if (!LOG_LEVELS.includes(level))
      faults.push(`LOG_LEVEL is '${level}': give one of ${LOG_LEVELS.join(', ')}`);
    return level;
  }

  const config: Config = {
    port: integer('PORT', 8000, 0, 65_535),
    logLevel: logLevel(),
    redisUrl: url('REDIS_URL', ['redis:', 'rediss:']),
    redisTimeoutMs: integer('REDIS_TIMEOUT_MS', 150, 1, 60_000),
    postgresUrl: postgres(),
    postgresTimeoutMs: integer('POSTGRES_TIMEOUT_MS', 750, 1, 60_000),
    postgresWaitMs: integer('POSTGRES_WAIT_MS', 5000, 1, 600_000),
    shutdownGraceMs: integer('SHUTDOWN_GRACE_MS', 8000, 0, 600_000),
    trustProxyHops: integer('TRUST_PROXY_HOPS', 0, 0, 9),
    resetToken: resetToken(),
  };
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}
