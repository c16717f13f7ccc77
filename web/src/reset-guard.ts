import { createHash, timingSafeEqual } from 'node:crypto';
import { BlockList } from 'node:net';
import type { Request, Response } from 'express';

/** What no router of the internet forwards. https://www.iana.org/assignments/iana-ipv4-special-registry */
const PRIVATE = new BlockList();
for (const [network, bits, family] of [
  ['127.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['::1', 128, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
] as const) {
  PRIVATE.addSubnet(network, bits, family);
}

/** Is it this machine's or a private network's? What is no address is not. */
export function isPrivate(address: string): boolean {
  return PRIVATE.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
}

/** Why a reset is refused. */
export interface Refusal {
  status: 401 | 403;
  reason: string;
}

/**
 * Who may reset: with a token, whoever bears it (RFC 6750), from anywhere; without, whoever asks from a private
 * network, but not because a page of another site made the browser ask, as far as it says so.
 * @param token undefined: there is none
 * @returns for a request, undefined if it may; otherwise why not. Adds what RFC 6750 asks for to the response.
 */
export function resetGuard(token: string | undefined): (req: Request, res: Response) => Refusal | undefined {
  if (token === undefined) {
    return (req) => {
      if (!isPrivate(req.ip ?? '')) {
        return { status: 403, reason: 'Forbidden: only private networks may reset' };
      }
      // Browsers say where a request comes from, if it goes to https or to localhost.
      if (['cross-site', 'same-site'].includes(req.get('sec-fetch-site') ?? '')) {
        return { status: 403, reason: 'Forbidden: a page of another site may not reset' };
      }
      return undefined;
    };
  }
  // Of equal length, as timingSafeEqual needs them, whatever was sent.
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const expected = digest(token);
  return (req, res) => {
    const sent = /^Bearer +(\S+)$/i.exec(req.get('authorization') ?? '')?.[1];
    if (sent !== undefined && timingSafeEqual(digest(sent), expected)) return undefined;
    res.set('WWW-Authenticate', sent === undefined ? 'Bearer' : 'Bearer error="invalid_token"');
    return { status: 401, reason: 'Unauthorized: resetting takes the token, as Authorization: Bearer' };
  };
}
