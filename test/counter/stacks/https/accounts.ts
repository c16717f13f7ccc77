/** An authority that takes those alone who have an account with it (external account binding). */
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { SignedSite } from '../../../support/authority.ts';
import { until } from '../../../support/faults.ts';
import { NAME } from '../../../support/tls-client.ts';

export function accounts(site: () => SignedSite): void {
  describe('an authority that wants an account', () => {
    const key = () => randomBytes(32).toString('base64url');
    const hmac = key();
    /** Until acme says so, of what it has tried since. */
    const says = async (what: RegExp) => {
      const before = (await site().log()).length;
      await until(async () => what.test((await site().log()).slice(before)), 90_000);
    };

    beforeAll(async () => {
      await site().takeOnly({ ours: hmac });
      // One more name is another certificate, for which acme asks at once.
      await site().change({ ACME_PROFILE: 'long', HTTPS_DOMAINS: `${NAME},other.test` });
    });

    it('gives no certificate without one: the log says so, acme is unhealthy, and NGINX goes on', async () => {
      const before = await site().certificate();
      await says(/urn:ietf:params:acme:error:externalAccountRequired/);
      await site().isHealthy(false);
      expect((await site().certificate()).serialNumber).toBe(before.serialNumber);
    });

    it.each([
      ['a key that is not its own', { ACME_EAB_KID: 'ours', ACME_EAB_HMAC: key() }],
      ['a name that it does not know', { ACME_EAB_KID: 'others', ACME_EAB_HMAC: hmac }],
    ])('gives none for %s', async (_what, account) => {
      await site().change(account);
      await says(/Could not complete registration\n.*urn:ietf:params:acme:error:(unauthorized|malformed)/);
      await site().isHealthy(false);
    });

    it('gives one to ACME_EAB_KID and ACME_EAB_HMAC, and renews it without them', async () => {
      const before = await site().certificate();
      await site().change({ ACME_EAB_KID: 'ours', ACME_EAB_HMAC: hmac });
      const first = await site().renewed(before);
      await site().isHealthy();
      await site().change({ ACME_EAB_KID: '', ACME_EAB_HMAC: '' });
      await site().demandRenewal(first);
      await site().renewed(first);
      await site().isHealthy();
    });
  });
}
