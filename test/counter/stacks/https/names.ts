/** Names that a certificate is for, added, removed and wrong. */
import { describe, expect, it } from 'vitest';
import type { SignedSite } from '../../../support/authority.ts';
import { until } from '../../../support/faults.ts';
import { NAME } from '../../../support/tls-client.ts';

export function names(site: () => SignedSite): void {
  describe('names', () => {
    it('that are added and removed get another certificate, and NGINX stays', async () => {
      const nginx = await site().stack.containers('nginx');
      site().settings.HTTPS_DOMAINS = `${NAME},www.${NAME}`;
      await site().stack.up();
      await site().serves(({ subjectAltName }) => subjectAltName === `DNS:${NAME}, DNS:www.${NAME}`);
      await site().change({ HTTPS_DOMAINS: NAME });
      await site().serves(({ subjectAltName }) => subjectAltName === `DNS:${NAME}`);
      expect(await site().stack.containers('nginx')).toEqual(nginx);
    });

    it('that the authority does not find are named in the log, and the certificate before stays', async () => {
      const before = await site().certificate();
      await site().change({ HTTPS_DOMAINS: `${NAME},nowhere.test` });
      await until(
        async () => /nowhere\.test.*\n.*the next attempt is in \d+ s/s.test(await site().log()),
        90_000,
      );
      await site().isHealthy(false);
      expect((await site().certificate()).serialNumber).toBe(before.serialNumber);
      await site().change({ HTTPS_DOMAINS: NAME });
      await site().isHealthy();
    });

    it('that are none are refused with the remedy', async () => {
      const run = (name: string) =>
        site()
          .stack.compose('run', '--rm', '--no-deps', '--no-TTY', '--env', `HTTPS_DOMAINS=${name}`, 'acme')
          .catch(({ stdout }) => String(stdout));
      expect(await run('*.site.test')).toBe(
        "acme: HTTPS_DOMAINS holds '*.site.test': give names of this site, such as example.com,www.example.com; without wildcards, others than ASCII as xn--...\n",
      );
      expect(await run('--server')).toContain("holds '--server'");
    });
  });
}
