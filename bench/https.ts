/** `npm run https:bench`: what TLS costs. Two stacks in turns, one with HTTPS: over kept connections, and with a handshake a request. */
import { until } from '../test/support/faults.ts';
import { markdown } from '../test/support/markdown.ts';
import { median } from '../test/support/median.ts';
import { OwnSite, pair } from '../test/support/own-site.ts';
import { Stack } from '../test/support/stack.ts';
import { NAME } from '../test/support/tls-client.ts';
import { wrk } from './wrk.ts';

const LOADS = {
  kept: { rounds: 5, seconds: 3, options: [] },
  // NGINX keeps a closed connection in mind for a minute, and this machine has 28,000 ports to come from: no more are opened in all.
  new: { rounds: 3, seconds: 1, options: ['--header', 'Connection: close'] },
};

await using plain = await Stack.start('bench-http');
await using secure = await OwnSite.start('bench-https', await pair(NAME));
await until(async () => (await plain.isReady()) && (await secure.stack.isReady()));
// NGINX's addresses on the container networks: docker-proxy is slower than what is measured.
const URLS = {
  plain: `http://${await plain.on('edge', 'nginx')}:8080/`,
  TLS: `https://${await secure.stack.on('edge', 'nginx')}:8443/`,
};

/** Answers a second to 64 clients. */
async function rate(url: string, seconds: number, options: string[]): Promise<number> {
  const answered = await wrk(url, 64, seconds, options);
  if (answered.errors > 0) throw new Error(`${url}: ${answered.errors} errors`);
  return answered.requests / answered.seconds;
}

/** By scheme and connections. */
const rates = new Map<string, number[]>();
for (const [connections, { rounds, seconds, options }] of Object.entries(LOADS)) {
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const [scheme, url] of Object.entries(URLS)) {
      const taken = await rate(url, seconds, options);
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
console.log('Answers a second to 64 clients, medians of rounds:\n');
console.log(markdown(['connections', 'plain', 'TLS', 'ratio'], [line('kept'), line('new')]));
