import { stack } from '../../support/services.ts';

/** Counts a visit: its number. @throws on any other answer */
export async function visit(): Promise<number> {
  const response = await fetch(stack.address);
  const text = await response.text();
  const [, number] = /viewed (\d+) time/.exec(text) ?? [];
  if (number === undefined) throw new Error(`a visit: ${response.status} ${text}`);
  return Number(number);
}
