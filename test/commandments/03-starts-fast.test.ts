import { expect, it } from 'vitest';
import { median } from '../../bench/median.ts';
import { startTimes } from '../stack/first-answer.ts';
import { figure, stack } from '../stack/services.ts';

const ROUNDS = 30;

it('web counts its first visit in at most twice the time in which a bare server says anything', {
  timeout: 180_000,
}, async (context) => {
  const times = await startTimes(stack, ROUNDS);
  const [bare, ours] = [median(times.bare), median(times.web)];
  await figure(
    context,
    `web counts its first visit ${ours.toFixed(0)} ms after docker run, a bare server answers after ${bare.toFixed(0)} ms: ${(ours / bare).toFixed(2)} times as long (medians of ${ROUNDS})`,
  );
  expect(ours / bare).toBeLessThan(2);
});
