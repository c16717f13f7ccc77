import { readFileSync } from 'node:fs';
import { eachHost, parsePostgresUrl } from './postgres-url.ts';
import { reason } from './reason.ts';

/** What every application on this stack is told. */
export interface Config {
  port: number;
  logLevel: string;
  /** Undefined: there is no Redis. */
  redisUrl: string | undefined;
  redisTimeoutMs: number;
  postgresUrl: string;
  postgresTimeoutMs: number;
  shutdownGraceMs: number;
  /** How many proxies stand in front and say, in X-Forwarded-For, for whom they ask. */
  trustProxyHops: number;
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

/** What the file that a setting names holds, but for its last line break. @throws Error that names the setting, and the remedy. */
export function secret(setting: string, file: string): string {
  let content: string;
  try {
    content = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new Error(`${setting} names a file that cannot be read (${reason(error)}): name a readable one`);
  }
  if (content !== '') return content;
  throw new Error(`${setting} names ${file}, which is empty: write the value into it`);
}

/**
 * Reads settings from environment variables, and gathers what is wrong with them until check(). Each NAME may be given as
 * NAME_FILE instead: the path of a file that holds the value (a secret), whose last line break does not count.
 */
export class Settings {
  readonly faults: string[] = [];
  readonly #env: NodeJS.ProcessEnv;

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  /** @throws ConfigError naming every fault. */
  check(): void {
    if (this.faults.length > 0) throw new ConfigError(this.faults);
  }

  /** Is NAME or NAME_FILE given? An empty one is not. */
  has(name: string): boolean {
    return Boolean(this.#env[name] || this.#env[`${name}_FILE`]);
  }

  /** The file that NAME_FILE names, if NAME itself is not given. */
  file(name: string): string | undefined {
    return this.#env[name] ? undefined : this.#env[`${name}_FILE`] || undefined;
  }

  text(name: string): string | undefined {
    const value = this.#env[name] || undefined;
    const file = this.#env[`${name}_FILE`] || undefined;
    if (value !== undefined && file !== undefined) {
      this.faults.push(`${name} and ${name}_FILE are both set: set one of them`);
    } else if (file !== undefined) {
      try {
        return secret(`${name}_FILE`, file);
      } catch (error) {
        this.faults.push(reason(error));
      }
    }
    return value;
  }

  integer(name: string, fallback: number, least: number, most: number): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= least && number <= most) return number;
    this.faults.push(
      `${name} is '${value}': give a whole number from ${least} to ${most}, or leave it out for ${fallback}`,
    );
    return fallback;
  }

  /** The value may hold a password: no fault quotes it. */
  url(name: string, protocols: string[]): string | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const parsed = eachHost(value).map((url) => URL.parse(url));
    if (parsed.some((url) => !url?.hostname || !protocols.includes(url.protocol))) {
      this.faults.push(
        `${name} is not a URL of the form ${protocols.map((p) => `${p}//host`).join(' or ')}: correct it`,
      );
    }
    return value;
  }

  /** As text(), for a value of a pattern, which a fault calls `form`. */
  name(variable: string, pattern: RegExp, form: string): string | undefined {
    const value = this.text(variable);
    if (value !== undefined && !pattern.test(value)) {
      this.faults.push(`${variable} is not ${form}: correct it`);
    }
    return value;
  }
}

/** Where the application listens: all that the health check has to know. */
export const readPort = (settings: Settings) => settings.integer('PORT', 8000, 0, 65_535);

/** Reads what every application is told; the faults are in `settings` afterwards. */
export function readConfig(settings: Settings): Config {
  return {
    port: readPort(settings),
    logLevel: logLevel(settings),
    redisUrl: settings.url('REDIS_URL', ['redis:', 'rediss:']),
    redisTimeoutMs: settings.integer('REDIS_TIMEOUT_MS', 150, 1, 60_000),
    postgresUrl: postgresUrl(settings),
    postgresTimeoutMs: settings.integer('POSTGRES_TIMEOUT_MS', 750, 1, 60_000),
    shutdownGraceMs: settings.integer('SHUTDOWN_GRACE_MS', 8000, 0, 600_000),
    trustProxyHops: settings.integer('TRUST_PROXY_HOPS', 0, 0, 9),
  };
}

function logLevel(settings: Settings): string {
  const level = settings.text('LOG_LEVEL') ?? 'info';
  if (!LOG_LEVELS.includes(level)) {
    settings.faults.push(`LOG_LEVEL is '${level}': give one of ${LOG_LEVELS.join(', ')}`);
  }
  return level;
}

/** DATABASE_URL, or a URL made of the parts that libpq knows too: TLS is then one matter, not two. */
function postgresUrl(settings: Settings): string {
  const { faults } = settings;
  const before = faults.length;
  const whole = settings.url('DATABASE_URL', ['postgres:', 'postgresql:']);
  const host = settings.name(
    'PGHOST',
    /^(\/|[\w.:-]+(,[\w.:-]+)*$)/,
    'a host name, an address, a list of them or the directory of a socket',
  );
  const user = settings.text('PGUSER');
  const plain = /^[\w.-]+$/;
  const database = settings.name('PGDATABASE', plain, 'a name of letters, digits, _, . and -') ?? user;
  if (database === user && user !== undefined && !plain.test(user)) {
    faults.push('PGDATABASE is not set and PGUSER is not the name of a database: set PGDATABASE');
  }
  const parts = {
    host,
    port: String(settings.integer('PGPORT', 5432, 1, 65_535)),
    user,
    password: settings.text('PGPASSWORD'),
    sslmode: settings.text('PGSSLMODE'),
    sslrootcert: settings.text('PGSSLROOTCERT'),
    target_session_attrs: settings.text('PGTARGETSESSIONATTRS'),
  };
  const given = Object.keys({ ...parts, database }).map(
    (part) => `PG${part.replaceAll('_', '').toUpperCase()}`,
  );
  const set = given.filter((variable) => settings.has(variable));
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
