import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { ClientConfig } from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';

const MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];

/** What a URL says of a Postgres. */
export interface PostgresTarget {
  /** For pg's client, which still lacks `ssl`. */
  client: ClientConfig;
  /** The values for `ssl`, in the order in which a session tries them. */
  tls: (false | ConnectionOptions)[];
}

/**
 * Reads a URL with `sslmode` and `sslrootcert` as libpq does, but for its default files in the home directory.
 * pg itself takes four of the six modes for verify-full. https://www.postgresql.org/docs/current/libpq-ssl.html
 * @throws Error that names the parameter, its value and the remedy.
 */
export function parsePostgresUrl(url: string): PostgresTarget {
  const parsed = new URL(url);
  /** Takes a parameter out, so that pg does not read it in its own way. Of a repeated one the last counts. */
  const take = (name: string): string | undefined => {
    const value = parsed.searchParams.getAll(name).at(-1);
    parsed.searchParams.delete(name);
    return value || undefined;
  };
  take('uselibpqcompat');
  const root = take('sslrootcert');
  const ssl = take('ssl');
  if (ssl !== undefined && ssl !== 'true') {
    throw new Error(`ssl is '${ssl}': libpq knows ssl=true alone, give sslmode in its place`);
  }
  const system = root === 'system';
  const mode = take('sslmode') ?? (system ? 'verify-full' : ssl ? 'require' : 'prefer');
  if (!MODES.includes(mode)) throw new Error(`sslmode is '${mode}': give one of ${MODES.join(', ')}`);
  if (mode.startsWith('verify') && root === undefined) {
    throw new Error(
      `sslmode is '${mode}' and sslrootcert is not set: name the file of an authority, or system for those Node trusts`,
    );
  }
  if (system && mode !== 'verify-full') {
    throw new Error(`sslrootcert is 'system' and sslmode is '${mode}': give verify-full, or name a file`);
  }
  if (parsed.searchParams.get('sslnegotiation') === 'direct' && /^(disable|allow|prefer)$/.test(mode)) {
    throw new Error(`sslnegotiation is 'direct' and sslmode is '${mode}': give require or verify-full`);
  }

  const { ssl: files, ...client } = parseIntoClientConfig(parsed.href);
  const tls: ConnectionOptions = {
    // The client's own certificate: sslcert and sslkey.
    ...(typeof files === 'object' ? files : {}),
    ...(root === undefined || system ? {} : { ca: readFileSync(root, 'utf8') }),
    // Whichever the mode, a server is held to an authority that is named.
    rejectUnauthorized: root !== undefined,
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
  // A socket in the file system has no TLS, whatever the mode.
  if (mode === 'disable' || client.host?.startsWith('/')) return { client, tls: [false] };
  if (mode === 'allow') return { client, tls: [false, tls] };
  if (mode === 'prefer') return { client, tls: [tls, false] };
  return { client, tls: [tls] };
}
