import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Settings, secret } from '../config.ts';
import { reason } from '../reason.ts';

/** What the counter is told beside what every application is. */
export interface CounterConfig {
  /** How long a visit waits for a Postgres that is away. */
  postgresWaitMs: number;
  /** Undefined: resetting takes no token. Otherwise what it is now. @throws Error when its file does not tell. */
  resetToken: (() => string) | undefined;
}

/** Reads the counter's own settings; the faults are in `settings` afterwards. */
export function readCounterConfig(settings: Settings): CounterConfig {
  return {
    postgresWaitMs: settings.integer('POSTGRES_WAIT_MS', 5000, 1, 600_000),
    resetToken: resetToken(settings),
  };
}

function resetToken(settings: Settings): (() => string) | undefined {
  const file = settings.file('RESET_TOKEN');
  const token = file ? undefined : settings.text('RESET_TOKEN');
  const read = file ? tokenFile(file) : token ? () => bearerToken(token) : undefined;
  try {
    read?.();
  } catch (error) {
    settings.faults.push(reason(error));
  }
  return read;
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
