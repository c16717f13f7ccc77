/** What breaks on the way to a certificate, and how it is mended without a hand. */
import { describe, expect, it } from 'vitest';
import type { SignedSite } from '../../../support/authority.ts';
import { crash, until } from '../../../support/faults.ts';

export function faults(site: () => SignedSite): void {
  describe('what breaks', () => {
    it.each([
      [
        'files half written or between two places',
        'mv lego lego.old && mkdir -p lego.next/certificates && head -c 99 site.pem > site.new',
      ],
      ['an empty pair', ': > site.pem'],
    ])('is mended after acme was killed and left %s', async (_what, left) => {
      const before = await site().certificate();
      const account = await site().inVolume('cat lego/accounts/*/*/account.json');
      await site().inVolume(left);
      await (await crash(await site().acme()))();
      await site().isHealthy();
      await site().demandRenewal(before);
      await site().renewed(before);
      // What is there between two attempts.
      await until(async () => (await site().inVolume('ls')) === 'challenges\nlego\nsite.pem');
      expect(await site().inVolume('cat lego/accounts/*/*/account.json')).toBe(account);
    });

    it('is mended wherever acme is killed on its way to a certificate', async () => {
      for (const afterMs of [300, 1000, 2000]) {
        const before = await site().certificate();
        await site().demandRenewal(before);
        const { promise, resolve } = Promise.withResolvers<void>();
        setTimeout(resolve, afterMs);
        await promise;
        await (await crash(await site().acme()))();
        await site().serves(
          ({ validToDate, issuer }) => issuer.includes('Pebble') && validToDate > new Date(),
        );
      }
      const before = await site().certificate();
      await site().demandRenewal(before);
      await site().renewed(before);
    });

    it('is mended if the volume is wiped: a self-signed certificate, then another', async () => {
      const before = await site().certificate();
      await site().inVolume('rm -rf /certificates/*');
      await site().renewed(before);
      await site().isHealthy();
    });

    it('stays, with its certificate, over a restart of everything', async () => {
      const before = await site().certificate();
      await site().stack.compose('restart');
      await site().isHealthy();
      expect((await site().certificate()).serialNumber).toBe(before.serialNumber);
    });
  });

  describe('a certificate of 20 seconds', () => {
    it('is renewed by its lifetime', async () => {
      await site().change({ ACME_PROFILE: 'short' });
      const short = await site().serves(
        ({ validToDate, validFromDate }) => validToDate.getTime() - validFromDate.getTime() <= 20_000,
      );
      await site().renewed(short);
    });

    it('expires while the authority is away, and is replaced once it is back, with another root and without the account', async () => {
      await site().stack.compose('stop', 'authority');
      const expired = await site().serves(({ validToDate }) => validToDate < new Date());
      await site().isHealthy(false);
      await site().stack.compose('start', 'authority');
      const next = await site().serves(({ validToDate }) => validToDate > new Date());
      expect(next.issuer).not.toBe(expired.issuer);
      await site().isHealthy();
    });
  });
}
