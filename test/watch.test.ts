/** By what rules a deploy judges new replicas, and the machine: ops/watch.sh and rolling.sh, on replicas that a shell function plays. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const run = promisify(execFile);

/** Runs a script after ops/watch.sh, with replicas that run and are ready, and a log of NGINX that is empty. */
async function watched(script: string): Promise<string> {
  const replicas = `field() { echo 0true; }; address() { echo 10.0.0.1; }; running() { echo nginx; }
    docker() { :; }; is_ready() { echo "$1 is away" > "$TMP/readyz"; }`;
  const before = `set -eu; . ops/watch.sh; TMP=$(mktemp -d); trap 'rm -r "$TMP"' EXIT; cause=''; before='0 0 0 0'; ${replicas}`;
  return (await run('sh', ['-c', `${before}; ${script}`])).stdout.trim();
}

it('takes one replica for worse that is not ready three times in a row, although the others are', async () => {
  const one = 'is_ready() { echo "$1 is away" > "$TMP/readyz"; [ "$1" != b ]; }';
  expect(await watched(`${one}; watch 9 a b c || echo "$cause"`)).toBe(
    'a new replica is not ready any more: b is away',
  );
});

it('forgives replicas that are not ready for once, all at the same time', async () => {
  const once = 'is_ready() { echo away > "$TMP/readyz"; [ -e "$TMP/$1" ] || { : > "$TMP/$1"; return 1; }; }';
  expect(await watched(`${once}; watch 4 a b c && echo well`)).toBe('well');
});

it('takes a replica for worse that was started again', async () => {
  const again = 'field() { [ "$2" = a ] && echo 1true || echo 0true; }; docker() { echo last words; }';
  expect(await watched(`${again}; watch 4 a || echo "$cause"`)).toBe('a new replica crashed: last words');
});

it('sees what replicas answered, and what failed: not what NGINX itself answers, such as redirects to HTTPS', async () => {
  const line = (status: number, seconds: number, upstream = '', uri = '/') =>
    JSON.stringify({ uri, status, seconds, upstream });
  const log = [
    ...Array(50).fill(line(308, 0)),
    ...Array(9).fill(line(200, 0.004, '10.0.0.1:8000')),
    line(200, 0.009, '10.0.0.2:8000, 10.0.0.1:8000'),
    line(503, 0.5, '10.0.0.1:8000 : 10.0.0.2:8000'),
    line(503, 0.001),
    line(200, 0.001, '10.0.0.1:8000', '/health?1'),
  ];
  const sample = async (of: string) =>
    (await watched(`printf '%s\\n' '${log.join("' '")}' | awk -v of='${of}' -f ops/edge.awk`)).split(' ');
  expect(await sample('')).toEqual(['12', '2', '4', '500']);
  expect(await sample('10.0.0.1')).toEqual(['10', '0', '4', '9']);
});

it.each([
  ['three of a hundred that fail, where none did', '1000 0 5 5 100 3 5 5', 1],
  ['two that fail', '1000 0 5 5 20 2 5 5', 0],
  ['three of four hundred', '1000 0 5 5 400 3 5 5', 0],
  ['as many as before', '1000 100 5 5 100 10 5 5', 0],
])('counts errors: %s', async (_what, figures, status) => {
  expect(await watched(`_requests=0 _failed=0 _slow=0; compare ${figures} && echo 0 || echo 1`)).toBe(
    String(status),
  );
});

it('calls a median slow that is above one and a half times the one before, and 2 ms, for five seconds', async () => {
  const seconds = (ms: number, times: number) =>
    `_requests=0 _failed=0 _slow=0; for _ in $(seq ${times}); do compare 1000 0 10 20 100 0 ${ms} 30 || break; done; echo "$cause"`;
  expect(await watched(seconds(18, 5))).toBe('requests take 18 ms; before, 10 ms (medians)');
  expect(await watched(seconds(18, 4))).toBe('');
  expect(await watched(seconds(17, 9))).toBe('');
});

it.each([
  [
    '/',
    '9000GiB / 1GiB\\n200MiB / 1GiB',
    / MB of memory are free, and as many new replicas need 9216200 MB\.$/,
  ],
  ['/', '80.5MiB / 256MiB\\n90MiB / 256MiB', /^room$/],
  // Another machine's engine.
  ['/nowhere', '9000GiB / 1GiB', /^room$/],
])('a deploy asks this machine for room beside the old replicas: %s %s', async (folder, used, words) => {
  const docker = `docker() { case "$1" in info) echo ${folder} ;; stats) printf '${used}\\n' ;; esac; }; old='a b'`;
  expect(await watched(`. ops/rolling.sh; ${docker}; check_room && echo room || echo "$cause"`)).toMatch(
    words,
  );
});
