/** The counter, as the generic suites see it. Another application replaces this file: docs/make-it-yours.md */
import type { Subject } from './support/subject.ts';

async function get(address: string, path: string, right: RegExp): Promise<Response> {
  const response = await fetch(address + path, { signal: AbortSignal.timeout(15_000) });
  const text = await response.text();
  if (response.status !== 200 || !right.test(text)) throw new Error(`${path}: ${response.status} ${text}`);
  return response;
}

export const subject: Subject = {
  path: '/',
  async write(address) {
    await get(address, '/', /^Hello Linode! {2}This page has been viewed [1-9]\d* time\(s\)\.$/);
  },
  count: 'SELECT visitor_count FROM visitors WHERE site_id = 1',
  async logged(address) {
    return get(address, '/resetcounter', /^Successfully deleted/);
  },
  logs: 'reset visitor count',
  // NGINX asks another replica, and that one waits for Postgres. A visit may count more than once, and so leave a gap.
  hides: ['web', 'redis', 'postgres'],
  writesOnce: false,
  holds: 'Hello Linode!',
  // One bundle, without what it does not use.
  image: { megabytes: 5, startOfBare: 1.75 },
};
