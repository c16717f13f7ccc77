/** Requests as the bytes that are sent: no client between that would mend them. */

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

/** What it is, its bytes, the status of each answer, how many visits it counts. */
export type Row = [what: string, request: string, status: number | number[], counts: number];
