import { stack } from '../../support/services.ts';

/** Counts a visit: its number. @throws on any other answer */
export async function visit(): Promise<number> {
  // A connection of its own: NGINX may close a kept one at any time, and does so when a crowd needs its place. Browsers ask
  // again then, fetch does not: https://www.rfc-editor.org/rfc/rfc9112#section-9.3.1
  const response = await fetch(stack.address, { headers: { Connection: 'close' } });
  const text = await response.text();
  const [, number] = /viewed (\d+) time/.exec(text) ?? [];
  if (number === undefined) throw new Error(`a visit: ${response.status} ${text}`);
  return Number(number);
}
