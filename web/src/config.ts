import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
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
  /** Undefined: resetting takes no token. Otherwise what it is now. @throws Error when its file does not tell. */
  resetToken: (() => string) | undefined;
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

/** What a file holds but for its last line break. @throws Error that names the setting, and the remedy. */
function secret(setting: string, file: string): string {
  let content: string;
  try {
    content = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new Error(`${setting} names a file that cannot be read (${reason(error)}): name a readable one`);
  }
  if (content !== '') return content;
  throw new Error(`${setting} names ${file}, which is empty: write the value into it`);
}

/** @throws Error that does not quote it, for what is no bearer token (RFC 6750) or too short to be a secret. */
function bearerToken(token: string): string {
  if (!/^[\w.~+/-]+=*$/.test(token)) {
    throw new Error(
      'RESET_TOKEN holds what a bearer token cannot: letters, digits, - . _ ~ + / and = at its end can',
    );
  }
  if (token.length >= 16) return token;
  throw new Error(
    `RESET_TOKEN has ${token.length} characters: give it 16 or more, openssl rand -hex 16 makes one`,
  );
}

/** Reads a token from its file, or from the file `token` in its directory, anew each time: a new one counts at once. */
function tokenFile(path: string): () => string {
  const mounted = mountedAt(path);
  return () => {
    if (mountedAt(path) !== mounted) {
      throw new Error(
        'RESET_TOKEN_FILE names a file that was replaced on the host, where a container goes on seeing the old one: ' +
          'restart web, and next time write into the file, or name a directory that holds it as `token`',
      );
    }
    const directory = statSync(path, { throwIfNoEntry: false })?.isDirectory();
    return bearerToken(secret('RESET_TOKEN_FILE', directory ? join(path, 'token') : path));
  };
}

/** What is mounted there, in the kernel's words: they change when a file that is mounted by itself is replaced. */
function mountedAt(path: string): string | undefined {
  try {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
    return mounts.map((mount) => mount.split(' ')).findLast(([, , , , at]) => at === path)?.[3];
  } catch {
    // Not on Linux.
    return undefined;
  }
}

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
        return secret(`${name}_FILE`, file);
      } catch (error) {
        faults.push(reason(error));
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

  function resetToken(): (() => string) | undefined {
    const file = env.RESET_TOKEN ? undefined : env.RESET_TOKEN_FILE || undefined;
    const token = file ? undefined : text('RESET_TOKEN');
    const read = file ? tokenFile(file) : token ? () => bearerToken(token) : undefined;
    try {
      read?.();
    } catch (error) {
      faults.push(reason(error));
    }
    return read;
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
