import { readFileSync } from 'node:fs';

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
        const reason = error instanceof Error ? error.message : error;
        faults.push(`${name}_FILE names a file that cannot be read (${reason}): name a readable one`);
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

  /** DATABASE_URL, or a URL made of the parts that libpq knows too: TLS and escapes are then one matter, not two. */
  function postgres(): string {
    const whole = url('DATABASE_URL', ['postgres:', 'postgresql:']);
    const parts = ['PGHOST', 'PGPORT', 'PGUSER', 'PGPASSWORD', 'PGDATABASE', 'PGSSLMODE', 'PGSSLROOTCERT'];
    const given = parts.filter((name) => env[name] || env[`${name}_FILE`]);
    if (whole !== undefined) {
      if (given.length > 0)
        faults.push(`DATABASE_URL and ${given.join(', ')} are set: set the URL or its parts`);
      return whole;
    }
    const host = text('PGHOST');
    const user = text('PGUSER');
    const password = text('PGPASSWORD');
    if (host === undefined || user === undefined) {
      faults.push('DATABASE_URL is not set, nor PGHOST and PGUSER: say where Postgres is');
      return '';
    }
    if (!URL.canParse(`postgres://${host}`)) {
      faults.push(`PGHOST is '${host}': give a host name or an address, IPv6 in brackets`);
      return '';
    }
    const made = new URL(`postgres://${host}`);
    made.port = String(integer('PGPORT', 5432, 1, 65_535));
    made.username = encodeURIComponent(user);
    made.password = encodeURIComponent(password ?? '');
    made.pathname = encodeURIComponent(text('PGDATABASE') ?? user);
    const sslmode = text('PGSSLMODE');
    if (sslmode !== undefined) made.searchParams.set('sslmode', sslmode);
    const rootCertificate = text('PGSSLROOTCERT');
    if (rootCertificate !== undefined) made.searchParams.set('sslrootcert', rootCertificate);
    return made.href;
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
  };
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}
