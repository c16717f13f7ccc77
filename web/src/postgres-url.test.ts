import { describe, expect, it } from 'vitest';
import { parsePostgresUrl } from './postgres-url.ts';

/** Where a URL leads, as host:port. */
const places = (url: string) => parsePostgresUrl(url).clients.map(({ host, port }) => `${host}:${port}`);

describe('parsePostgresUrl', () => {
  it.each([
    ['postgres://one/x', ['one:5432']],
    ['postgres://u:a,b@one,two:6432,[::1]:7432/x', ['one:5432', 'two:6432', '::1:7432']],
    ['postgres://ignored:1/x?host=one,two', ['one:1', 'two:1']],
    ['postgres://ignored/x?host=one,two&port=6432', ['one:6432', 'two:6432']],
    ['postgres://ignored/x?host=one,two&port=1,2', ['one:1', 'two:2']],
    ['postgres://%2Fvar%2Frun/x', ['/var/run:5432']],
  ])('reads the hosts of %s', (url, expected) => {
    expect(places(url)).toEqual(expected);
  });

  it('gives every host the same user, password, database and TLS', () => {
    const { clients, tls } = parsePostgresUrl('postgres://u:p@one,two/x?sslmode=require');
    expect(clients.map(({ user, password, database }) => [user, password, database])).toEqual([
      ['u', 'p', 'x'],
      ['u', 'p', 'x'],
    ]);
    expect(tls).toMatchObject([{ rejectUnauthorized: false }]);
  });

  it.each([
    ['', false],
    ['?target_session_attrs=any', false],
    ['?target_session_attrs=read-write', true],
  ])('asks for a host that takes writes only if told to: %j', (parameters, takesWrites) => {
    expect(parsePostgresUrl(`postgres://one/x${parameters}`).takesWrites).toBe(takesWrites);
  });

  it.each(['postgres://%2Fvar%2Frun/x', 'postgres://x/x?host=/var/run'])(
    'has no TLS on a socket: %s',
    (url) => {
      expect(parsePostgresUrl(url).tls).toEqual([false]);
    },
  );
});
