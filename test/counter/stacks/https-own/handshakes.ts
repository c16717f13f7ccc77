/** What NGINX makes of handshakes, well-meant and hostile. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { OwnSite } from '../../../support/own-site.ts';
import { connected, handshake, NAME } from '../../../support/tls-client.ts';
import { get } from '../../stack/bytes.ts';

const run = promisify(execFile);

export function handshakes(site: () => OwnSite): void {
  describe('a handshake', () => {
    it.each(['TLSv1.2', 'TLSv1.3'] as const)('of %s is answered', async (version) => {
      const { protocol } = await handshake(site().port, { minVersion: version, maxVersion: version });
      expect(protocol).toBe(version);
    });

    it.each(['TLSv1', 'TLSv1.1'] as const)('of %s is refused', async (version) => {
      const old = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' } as const;
      await expect(connected(site().port, old)).rejects.toThrow(/alert|version/i);
    });

    it.each([
      ['HTTP/2, if the client has it', ['h2', 'http/1.1'], 'h2'],
      ['HTTP/1.1, if that is all', ['http/1.1'], 'http/1.1'],
      ['HTTP/1.1 without a word', undefined, false],
    ])('chooses %s', async (_what, protocols, chosen) => {
      const socket = await connected(site().port, protocols ? { ALPNProtocols: protocols } : {});
      expect(socket.alpnProtocol).toBe(chosen);
      socket.destroy();
    });

    it('for a protocol that NGINX does not speak is refused', async () => {
      await expect(connected(site().port, { ALPNProtocols: ['smtp'] })).rejects.toThrow(
        /no application protocol/i,
      );
    });

    it.each([['unknown.test'], [''], ['a'.repeat(250)], ['localhost']])(
      'that asks for %j gets the one certificate of the site',
      async (servername) => {
        const { certificate: got } = await handshake(site().port, { servername });
        expect(got?.subjectAltName).toBe(`DNS:${NAME}`);
      },
    );

    it.each(['TLSv1.2', 'TLSv1.3'] as const)('of %s is shortened for one who comes back', async (version) => {
      const options = { minVersion: version, maxVersion: version } as const;
      const { session } = await handshake(site().port, options);
      const again = await handshake(site().port, { ...options, ...(session ? { session } : {}) });
      expect(again.reused).toBe(true);
    });

    it('is not begun again within a connection', async () => {
      const socket = await connected(site().port, { maxVersion: 'TLSv1.2' });
      const renegotiated = Promise.withResolvers<unknown>();
      socket.on('error', renegotiated.resolve).on('close', renegotiated.resolve);
      socket.renegotiate({}, renegotiated.resolve);
      expect(await renegotiated.promise).toBeInstanceOf(Error);
      socket.destroy();
    });

    it('takes no early data, which could be sent again: openssl offers none', async () => {
      const session = join(site().directory, 'session.pem');
      const data = join(site().directory, 'early');
      await writeFile(data, get({}));
      const client = ['s_client', '-connect', `127.0.0.1:${site().port}`, '-tls1_3', '-ign_eof'];
      const openssl = async (...options: string[]) => {
        const child = run('openssl', [...client, ...options]);
        child.child.stdin?.end(get({}));
        return (await child).stdout;
      };
      await openssl('-sess_out', session);
      const seen = await openssl('-sess_in', session, '-early_data', data);
      expect(seen).toContain('Reused, TLSv1.3');
      expect(seen).not.toContain('Early data was accepted');
      expect((await run('openssl', ['sess_id', '-in', session, '-text', '-noout'])).stdout).not.toMatch(
        /Max Early Data: [1-9]/,
      );
    });

    it.each([
      ['silent', Buffer.alloc(0)],
      ['of a byte a second', Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
    ])('that is %s is cut off', { timeout: 45_000 }, async (_what, bytes) => {
      const socket = connect(Number(site().port), '127.0.0.1').on('error', () => {});
      let sent = 0;
      const trickle = setInterval(() => socket.write(bytes.subarray(sent, ++sent)), 1000);
      try {
        const closed = once(socket.resume(), 'close', { signal: AbortSignal.timeout(15_000) });
        await expect(closed).resolves.toBeDefined();
      } finally {
        clearInterval(trickle);
        socket.destroy();
      }
    });
  });
}
