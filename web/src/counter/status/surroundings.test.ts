import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { generate } from 'selfsigned';
import { describe, expect, it } from 'vitest';
import { certificateOf, newestBackup } from './surroundings.ts';

describe('the newest backup', () => {
  it('is the one with the latest time in its name, of either kind', () => {
    const names = [
      'base-20261130T010203Z.tar.gz',
      'dump-20261201T000000Z.sql.gz',
      'base-20251201T000000Z.tar.gz',
    ];
    expect(newestBackup(names)).toBe(Date.parse('2026-12-01T00:00:00Z') / 1000);
  });

  it('is none without a backup: a part of one, and what is no backup, do not count', () => {
    expect(newestBackup([])).toBe(0);
    expect(newestBackup(['base-20261130T010203Z.123.part', 'notes.txt', 'base-.tar.gz'])).toBe(0);
  });
});

describe('a certificate', () => {
  const [from, to] = [new Date('2026-01-01T00:00:00Z'), new Date('2026-03-01T00:00:00Z')];

  it.each([
    ['localhost', true],
    ['example.org', false],
  ])(
    'tells from when until when it is valid, and whose it is, whoever signed it: %s',
    async (name, isOfHost) => {
      const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
        notBeforeDate: from,
        notAfterDate: to,
      });
      await using server = createServer({ cert, key });
      await once(server.listen(0, 'localhost'), 'listening');
      const { port } = server.address() as AddressInfo;
      expect(await certificateOf(`localhost:${port}`)).toEqual({
        from: Number(from) / 1000,
        to: Number(to) / 1000,
        isOfHost,
      });
    },
  );

  it('of a server that is not there is an error', async () => {
    await expect(certificateOf('127.0.0.1:1')).rejects.toThrow('ECONNREFUSED');
  });
});
