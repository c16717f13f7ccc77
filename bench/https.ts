/** `npm run https:bench`: what TLS costs. Two stacks in turns, one with HTTPS: over kept connections, and with a handshake a request. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { until } from '../test/support/faults.ts';
import { markdown } from '../test/support/markdown.ts';
import { median } from '../test/support/median.ts';
import { OwnSite, pair } from '../test/support/own-site.ts';
import { Stack } from '../test/support/stack.ts';
import { NAME } from '../test/support/tls-client.ts';

const run = promisify(execFile);
const ROUNDS = 5;
const SECONDS = 3;

await using plain = await Stack.start('bench-http');
await using secure = await OwnSite.start('bench-https', await pair(NAME));
await until(async () => (await plain.isReady()) && (await secure.stack.isReady()));
// NGINX's addresses on the container networks: docker-proxy is slower than what is measured.
const URLS = {
  plain: `http://${await plain.on('edge', 'nginx')}:8080/`,
  TLS: `https://${await secure.stack.on('edge', 'nginx')}:8443/`,
};
const CONNECTIONS = { kept: [], new: ['--header', 'Connection: close'] };

/** Answers a second to 64 clients. */
async function rate(url: string, options: string[]): Promise<number> {
  const load = ['--threads', '1', '--connections', '64', '--duration', `${SECONDS}s`, '--timeout', '10s'];
  const { stdout } = await run('wrk', [...load, ...options, '--script', 'bench/wrk.lua', url]);
  const { requests, seconds, errors } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  if (errors > 0) throw new Error(`${url}: ${errors} errors`);
  return requests / seconds;
}

/** By scheme and connections. */
const rates = new Map<string, number[]>();
// The first round warms up.
for (let round = 0; round <= ROUNDS; round++) {
  for (const [connections, options] of Object.entries(CONNECTIONS)) {
    for (const [scheme, url] of Object.entries(URLS)) {
      const taken = await rate(url, options);
      const what = `${scheme} ${connections}`;
      if (round > 0) rates.set(what, [...(rates.get(what) ?? []), taken]);
    }
  }
}
const line = (connections: string) => {
  const of = (scheme: string) => median(rates.get(`${scheme} ${connections}`) ?? []);
  const [without, withTls] = [of('plain'), of('TLS')];
  return [connections, without.toFixed(0), withTls.toFixed(0), (withTls / without).toFixed(2)];
};
console.log(`Answers a second to 64 clients, medians of ${ROUNDS} rounds of ${SECONDS} s:\n`);
console.log(markdown(['connections', 'plain', 'TLS', 'ratio'], [line('kept'), line('new')]));
