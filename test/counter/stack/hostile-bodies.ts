/** Hostile bodies, requests that hide in them, and resets: rows of hostile-requests.ts. */
import { get, header, type Row } from './bytes.ts';

const chunked = (body: string) => header('Transfer-Encoding: chunked', body);
const post = (headers: string, body: string, path = '/') =>
  get({ method: 'POST', target: path, headers: `${headers}\r\n`, body });
const LOCAL = 'Host: localhost\r\n';
const SMUGGLED = 'GET /resetcounter HTTP/1.1\r\nHost: a\r\n\r\n';

export const BODIES: Record<string, Row[]> = {
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
