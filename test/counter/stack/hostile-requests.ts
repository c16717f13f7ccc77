/** Hostile and malformed requests as bytes, with the status that each gets and the visits that it counts. */

/** A request for `/` as it should be, but for what is named. */
export function get({
  target = '/',
  method = 'GET',
  version = 'HTTP/1.1',
  host = 'Host: a\r\n',
  headers = '',
  body = '',
}) {
  return `${method} ${target} ${version}\r\n${host}${headers}Connection: close\r\n\r\n${body}`;
}
export const header = (headers: string, body = '') => get({ headers: `${headers}\r\n`, body });
export const target = (path: string) => get({ target: path });
const chunked = (body: string) => header('Transfer-Encoding: chunked', body);
const post = (headers: string, body: string, path = '/') =>
  get({ method: 'POST', target: path, headers: `${headers}\r\n`, body });
const LOCAL = 'Host: localhost\r\n';
const SMUGGLED = 'GET /resetcounter HTTP/1.1\r\nHost: a\r\n\r\n';

/** What it is, its bytes, the status of each answer, how many visits it counts. */
export type Row = [what: string, request: string, status: number | number[], counts: number];

export const TABLE: Record<string, Row[]> = {
  'request lines': [
    ['HTTP/1.0 without a host', 'GET / HTTP/1.0\r\n\r\n', 200, 1],
    ['HTTP/0.9', 'GET /\r\n', [], 0],
    ['HTTP/0.9 for a reset', 'GET /resetcounter\r\n', [], 0],
    ['HTTP/2.0 in plain text', get({ version: 'HTTP/2.0' }), 400, 0],
    ['HTTP/9.9', get({ version: 'HTTP/9.9' }), 400, 0],
    ['no version that is one', get({ version: 'HTTPS/1.1' }), 400, 0],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 0],
    ['a method in lower case', get({ method: 'get' }), 400, 0],
    ['a method of 5 kB', get({ method: 'A'.repeat(5000) }), 400, 0],
    ['a method of 9 kB', get({ method: 'A'.repeat(9000) }), 414, 0],
    ['a method nobody knows', get({ method: 'BREW' }), 400, 0],
    ['TRACE', get({ method: 'TRACE' }), 405, 0],
    ['CONNECT', get({ method: 'CONNECT', target: 'a:443' }), 405, 0],
    ['OPTIONS *', get({ method: 'OPTIONS', target: '*' }), 400, 0],
    ['PUT', get({ method: 'PUT' }), 405, 0],
    ['PUT with a body', get({ method: 'PUT', headers: 'Content-Length: 2\r\n', body: 'hi' }), 413, 0],
    ['tabs in place of spaces', 'GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n', 400, 0],
    ['an empty line before', `\r\n${get({})}`, 200, 1],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 0],
    ['SSH', 'SSH-2.0-client\r\n\r\n', 400, 0],
    ['SMTP', 'EHLO a\r\n\r\n', 400, 0],
    ['the protocol of Redis', '*1\r\n$4\r\nPING\r\n\r\n', 400, 0],
    ['the PROXY protocol', `PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n${get({})}`, 400, 0],
    ['bytes that are no text', '\xff\xfe\xfd\r\n\r\n', 400, 0],
  ],
  targets: [
    ['a path of 5 kB', target(`/${'a'.repeat(5000)}`), 404, 0],
    ['a path of 9 kB', target(`/${'a'.repeat(9000)}`), 414, 0],
    ['a path outside', target('/../../etc/passwd'), 400, 0],
    ['a path outside, escaped', target('/%2e%2e/%2e%2e/etc/passwd'), 400, 0],
    ['a path through another to /', target('/x/..'), 404, 0],
    ['an escape that is none', target('/%zz'), 400, 0],
    ['an escaped null byte', target('/%00'), 400, 0],
    ['a null byte', target('/\0'), 400, 0],
    ['an escaped line break', target('/%0d%0aSet-Cookie:%20a=b'), 404, 0],
    ['bytes that are not UTF-8', target('/%c0%af'), 404, 0],
    ['a space', target('/ x'), 400, 0],
    ['a backslash', target('/\\resetcounter'), 404, 0],
    ['no slash', target('resetcounter'), 400, 0],
    ['/resetcounter in capitals', target('/RESETCOUNTER'), 404, 0],
    ['/resetcounter escaped', target('/%72esetcounter'), 404, 0],
    ['/resetcounter through another path', target('/x/../resetcounter'), 404, 0],
    ['/resetcounter after two slashes', target('//resetcounter'), 404, 0],
    ['a fragment', target('/#/resetcounter'), 400, 0],
    ['/readyz between a host and a fragment', target('//u@h/readyz#'), 400, 0],
    ['/resetcounter between a host and a fragment', target('//u@h/resetcounter#'), 400, 0],
    ['a host that is none, and a fragment', target('//a@[/#'), 400, 0],
    ['/healthz', target('/healthz'), 404, 0],
    ['/healthz escaped', target('/%68ealthz'), 404, 0],
    ['/healthz in capitals', target('/HEALTHZ'), 404, 0],
    ['/readyz through another path', target('/x/../readyz'), 404, 0],
    ['/readyz with a slash and a query', target('/readyz/?x'), 404, 0],
    ['the page that bad requests get', target('/bad-request'), 404, 0],
    ['files that are often left lying about', target('/.env'), 404, 0],
    ['a query of 2 kB', target(`/?${'a[]=1&'.repeat(340)}`), 200, 1],
    ['a query after prototypes', target('/?__proto__[x]=1&constructor[prototype][x]=1'), 200, 1],
    ['an absolute URI of another site', target('http://example.com/'), 200, 1],
    ['an absolute URI of a replica', target('http://web:8000/healthz'), 404, 0],
    ['an absolute URI with a password', target('http://u:p@a/'), 400, 0],
  ],
  hosts: [
    ['none', get({ host: '' }), 400, 0],
    ['two', get({ host: 'Host: a\r\nHost: b\r\n' }), 400, 0],
    ['an empty one', get({ host: 'Host: \r\n' }), 400, 0],
    ['a path', get({ host: 'Host: ../..\r\n' }), 400, 0],
    ['a user', get({ host: 'Host: u@a\r\n' }), 400, 0],
    ['another site', get({ host: 'Host: example.com\r\n' }), 200, 1],
  ],
  headers: [
    ['a name with a space', header('X Y: a'), 400, 0],
    ['a space before the colon', header('Content-Length : 5', 'hello'), 400, 0],
    ['a value on two lines', header('X: a\r\n b'), 400, 0],
    ['a null byte', header('X: a\0b'), 400, 0],
    ['a carriage return alone', header('X: a\rY: b'), 400, 0],
    ['70 of them', header(Array(70).fill('X: a').join('\r\n')), 400, 0],
    ['a cookie of 5 kB', header(`Cookie: ${'a'.repeat(5000)}`), 200, 1],
    ['one of 9 kB', header(`X: ${'a'.repeat(9000)}`), 400, 0],
    [
      '24 kB in all',
      header(
        Array(3)
          .fill(`X: ${'a'.repeat(8000)}`)
          .join('\r\n'),
      ),
      200,
      1,
    ],
    [
      '40 kB in all',
      header(
        Array(5)
          .fill(`X: ${'a'.repeat(8000)}`)
          .join('\r\n'),
      ),
      400,
      0,
    ],
    ['bytes that are no text', header('User-Agent: \x01\x02'), 400, 0],
    ['quotation marks for the log', header('User-Agent: ","status":200},{"a":"\\'), 200, 1],
    ['a lookup for the log', header('User-Agent: $'.concat('{jndi:ldap://localhost/a}')), 200, 1],
    ['a name for the request', header('X-Request-Id: mine'), 200, 1],
    ['another method', header('X-HTTP-Method-Override: DELETE'), 200, 1],
    ['another path', header('X-Original-URL: /resetcounter\r\nX-Rewrite-URL: /resetcounter'), 200, 1],
    ['fetched ahead', header('Sec-Purpose: prefetch'), 403, 0],
    ['any entity will do', header('If-None-Match: *'), 200, 1],
    ['an entity that is not there', header('If-Match: "a"'), 200, 1],
    ['500 ranges', header(`Range: bytes=${'0-1,'.repeat(500)}0-1`), 200, 1],
    ['an upgrade to HTTP/2', header('Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__'), 200, 1],
    ['an upgrade to a WebSocket', header('Upgrade: websocket\r\nSec-WebSocket-Version: 13'), 200, 1],
    ['an expectation nobody meets', header('Expect: the-unexpected'), 200, 1],
  ],
  bodies: [
    ['one that a GET should not have', header('Content-Length: 5', 'hello'), 413, 0],
    ['one after permission', header('Expect: 100-continue\r\nContent-Length: 5', 'hello'), 413, 0],
    ['of 2 kB', post('Content-Length: 2048', 'a'.repeat(2048)), 413, 0],
    ['of 1 GB, promised', post('Content-Length: 1000000000', ''), 413, 0],
    ['of 2 kB, in a chunk', chunked(`800\r\n${'a'.repeat(2048)}\r\n0\r\n\r\n`), 413, 0],
    ['with a length below 0', header('Content-Length: -1'), 400, 0],
    ['with a length in hexadecimal', header('Content-Length: 0x5', 'hello'), 400, 0],
    ['with a length with a sign', header('Content-Length: +5', 'hello'), 400, 0],
    ['with a length beyond 2^64', header('Content-Length: 99999999999999999999'), 400, 0],
    ['with a chunk whose length is none', chunked('zz\r\nhello\r\n0\r\n\r\n'), 413, 0],
    ['with a chunk beyond 2^64', chunked('ffffffffffffffffff\r\nhello\r\n0\r\n\r\n'), 413, 0],
    ['with chunks on bare line feeds', chunked('5\nhello\n0\n\n'), 413, 0],
    ['with a header after it', chunked('5\r\nhello\r\n0\r\nX-Forwarded-For: 8.8.8.8\r\n\r\n'), 413, 0],
  ],
  // If NGINX and web could disagree where a request ends, its rest would be taken for one of the next visitor's.
  'smuggled requests': [
    ['two lengths that agree', post('Content-Length: 5\r\nContent-Length: 5', 'hello'), 400, 0],
    ['two lengths that differ', post('Content-Length: 5\r\nContent-Length: 0', 'hello'), 400, 0],
    ['two lengths in a list', post('Content-Length: 5, 5', 'hello'), 400, 0],
    [
      'a length and chunks',
      post('Content-Length: 45\r\nTransfer-Encoding: chunked', `0\r\n\r\n${SMUGGLED}`),
      400,
      0,
    ],
    ['chunks twice', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), 400, 0],
    ['chunks, misspelt', post('Transfer-Encoding: xchunked', `0\r\n\r\n${SMUGGLED}`), 400, 0],
    ['chunks, and another encoding', post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n'), 400, 0],
    ['chunks after a tab', post('Transfer-Encoding:\tchunked', '0\r\n\r\n'), 400, 0],
    ['chunks before a colon', post('Transfer-Encoding : chunked', `0\r\n\r\n${SMUGGLED}`), 400, 0],
    ['no encoding at all', post('Transfer-Encoding: identity', SMUGGLED), 400, 0],
    [
      'chunks in HTTP/1.0',
      `POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
      400,
      0,
    ],
    ['a request as a body', header(`Content-Length: ${SMUGGLED.length}`, SMUGGLED), 413, 0],
    ['a request after the last', post('Content-Length: 0', SMUGGLED), 405, 0],
    ['two requests at once', `${get({}).replace('Connection: close\r\n', '')}${get({})}`, [200, 200], 2],
    ['a good request after a bad one', `${get({ version: 'HTTP/9.9' })}${get({})}`, 400, 0],
    ['a good one after another path', `GET /x HTTP/1.1\r\nHost: a\r\n\r\n${get({})}`, [404, 200], 1],
  ],
  resets: [
    ["by a name, which may be a foreign site's", get({ target: '/resetcounter' }), 403, 0],
    [
      'fetched ahead',
      get({ target: '/resetcounter', host: LOCAL, headers: 'Sec-Purpose: prefetch\r\n' }),
      403,
      0,
    ],
    [
      'through a proxy that nobody named',
      get({ target: '/resetcounter', host: LOCAL, headers: 'X-Forwarded-For: 127.0.0.1\r\n' }),
      403,
      0,
    ],
    [
      "under another host of the client's own",
      get({ target: '/resetcounter', headers: 'X-Forwarded-Host: localhost\r\n' }),
      403,
      0,
    ],
    ['by a form', post('Content-Length: 3', 'a=b', '/resetcounter'), 413, 0],
    ['by HEAD', get({ method: 'HEAD', target: '/resetcounter' }), 200, 0],
    [
      'by a page of another site',
      get({ target: '/resetcounter', host: LOCAL, headers: 'Sec-Fetch-Site: cross-site\r\n' }),
      403,
      0,
    ],
  ],
};
