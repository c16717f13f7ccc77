import { createHash, timingSafeEqual } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
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

/** Is it localhost or an address, about which no DNS server decides? Its port does not matter. */
function isLiteral(host: string): boolean {
  const name = URL.parse(`http://${host}`)?.hostname ?? '';
  return name === 'localhost' || isIP(name.replace(/[[\]]/g, '')) !== 0;
}

/** Why a reset is refused. */
export interface Refusal {
  status: 401 | 403;
  reason: string;
}

/**
 * With a token, a request that bears it may reset (RFC 6750), from anywhere. Without one, a request from a private
 * network may, unless a page of another site made the browser send it.
 * @param token undefined: there is none. A function: what it is now, undefined while that is not known
 * @returns for a request, undefined if it may; otherwise why not. Adds what RFC 6750 asks for to the response.
 */
export function resetGuard(
  token: string | undefined | (() => string | undefined),
): (req: Request, res: Response) => Refusal | undefined {
  if (token === undefined) {
    return (req) => {
      if (req.ip === 'unknown') {
        return {
          status: 403,
          reason:
            'Forbidden: a proxy passed this request on. Name its address in TRUSTED_PROXIES, or set RESET_TOKEN',
        };
      }
      if (!isPrivate(req.ip ?? '')) {
        return { status: 403, reason: 'Forbidden: only private networks may reset' };
      }
      // A name may be a foreign site's, which leads to this address: DNS rebinding, or an image on a page.
      if (!isLiteral(req.get('host') ?? '')) {
        return {
          status: 403,
          reason: 'Forbidden: without RESET_TOKEN, reset by localhost or an address, not by a name',
        };
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
  const now = typeof token === 'string' ? () => token : token;
  return (req, res) => {
    const sent = /^Bearer +(\S+)$/i.exec(req.get('authorization') ?? '')?.[1];
    const expected = now();
    if (expected === undefined) {
      res.set('WWW-Authenticate', 'Bearer');
      return { status: 401, reason: 'Unauthorized: the token is not known now, the log of web says why' };
    }
    if (sent !== undefined && timingSafeEqual(digest(sent), digest(expected))) return undefined;
    res.set('WWW-Authenticate', sent === undefined ? 'Bearer' : 'Bearer error="invalid_token"');
    return { status: 401, reason: 'Unauthorized: resetting takes the token, as Authorization: Bearer' };
  };
}
