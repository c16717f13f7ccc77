import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { ClientConfig } from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';

const MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'];
/** What stands before the hosts of a URL, and the hosts. */
const HOSTS = /^([a-z]+:\/\/(?:[^/?#]*@)?)([^/?#]*)/i;

/** What a URL says of a Postgres. */
export interface PostgresTarget {
  /** For pg's client, one for each host, which still lacks `ssl`. */
  clients: ClientConfig[];
  /** The values for `ssl`, in the order in which a session tries them. */
  tls: (false | ConnectionOptions)[];
  /** Is a host of use only if it takes writes? A standby does not. */
  takesWrites: boolean;
}

/** A URL for each host of a URL that lists several, as libpq allows: postgres://user@one:5432,two:5432/name */
export function eachHost(url: string): string[] {
  const [all = '', before = '', hosts = ''] = HOSTS.exec(url) ?? [];
  return hosts.split(',').map((host) => before + host + url.slice(all.length));
}

/**
 * Reads a URL with `sslmode` and `sslrootcert` as libpq does, but for its default files in the home directory.
 * pg itself takes four of the six modes for verify-full. https://www.postgresql.org/docs/current/libpq-ssl.html
 * Reads several hosts, and `target_session_attrs`, as libpq does too, which pg does not know:
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS
 * @throws Error that names the parameter, its value and the remedy.
 */
export function parsePostgresUrl(url: string): PostgresTarget {
  const urls = eachHost(url).map((one) => new URL(one));
  const [parsed] = urls;
  if (parsed === undefined) throw new Error('it names no host: give one');
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

  const wanted = take('target_session_attrs') ?? 'any';
  if (wanted !== 'any' && wanted !== 'read-write') {
    throw new Error(
      `target_session_attrs is '${wanted}': give any, or read-write for the one host that takes writes`,
    );
  }
  // As parameters they count in place of those in the URL.
  const hosts = take('host')?.split(',') ?? urls.map(({ hostname }) => decodeURIComponent(hostname));
  const ports = take('port')?.split(',') ?? urls.map(({ port }) => port);
  if (ports.length !== 1 && ports.length !== hosts.length) {
    throw new Error(
      `port lists ${ports.length} and host lists ${hosts.length}: give one port, or one for each host`,
    );
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
  const clients = hosts.map((host, index) => ({
    ...client,
    host: host.replace(/^\[|\]$/g, ''),
    port: Number((ports.length === 1 ? ports[0] : ports[index]) || 5432),
  }));
  const target = { clients, takesWrites: wanted === 'read-write' };
  // A socket in the file system has no TLS, whatever the mode.
  if (mode === 'disable' || hosts.some((host) => host.startsWith('/'))) return { ...target, tls: [false] };
  if (mode === 'allow') return { ...target, tls: [false, tls] };
  if (mode === 'prefer') return { ...target, tls: [tls, false] };
  return { ...target, tls: [tls] };
}
