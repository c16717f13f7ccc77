/** A clock that jumps a month ahead, as after a month in which the machine stood still, when the certificate is of a week. */
import type { X509Certificate } from 'node:crypto';
import { Clients } from '../../support/clients.ts';
import { until } from '../../support/faults.ts';
import { handshake } from '../../support/tls-client.ts';
import type { Guest } from './guest.ts';

const LIMIT_MS = 600_000;
const CLIENTS = 2;
const DAY_MS = 86_400_000;

export interface Renewal {
  handshakes: number;
  failures: string[];
  /** From the jump until NGINX serves another certificate. */
  seconds: number;
  /** From the jump back until the authority is asked again, which else is in an hour. */
  askedSeconds: number;
}

/** What NGINX serves, if an authority signed it. It is not believed: the host's clock is another. */
async function signed(guest: Guest): Promise<X509Certificate | undefined> {
  const { certificate } = await handshake(guest.httpsPort);
  return certificate?.issuer.includes('Pebble') ? certificate : undefined;
}

/** Sets the clock by so many days: what it says then (ms). */
async function jump({ agent }: Guest, days: string): Promise<number> {
  return 1000 * Number(await agent.run(`date --set '${days} days' > /dev/null && date +%s`));
}

/** @throws unless a certificate that is valid by the new clock takes the place of the one that is not */
export async function renewal(guest: Guest): Promise<Renewal> {
  await guest.secure('week');
  await until(async () => (await signed(guest)) !== undefined, LIMIT_MS);
  const failures: string[] = [];
  let handshakes = 0;
  const clients = new Clients(CLIENTS, async () => {
    handshakes++;
    await handshake(guest.httpsPort).catch((error) => failures.push(String(error)));
  });
  const since = performance.now();
  try {
    const now = await jump(guest, '+31');
    await until(async () => Date.parse((await signed(guest))?.validTo ?? '') > now, LIMIT_MS);
  } finally {
    await clients.stop();
  }
  const renewed = performance.now();
  const before = await jump(guest, '-31');
  // What lego says, with the time of its last attempt.
  const asked = () => guest.agent.run(`docker exec ${guest.container('acme')} stat -c %Y /tmp/lego.log`);
  await until(async () => 1000 * Number(await asked()) < before + DAY_MS, LIMIT_MS);
  return {
    handshakes,
    failures,
    seconds: (renewed - since) / 1000,
    askedSeconds: (performance.now() - renewed) / 1000,
  };
}
