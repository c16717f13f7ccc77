import { expect, it } from 'vitest';
import { subject } from '../subject.ts';
import { startTimes } from '../support/first-answer.ts';
import { median } from '../support/median.ts';
import { container, figure, stack } from '../support/services.ts';
import { attempt, inspect } from '../support/stack.ts';

const ROUNDS = 30;

it(`web answers from its stores in at most ${subject.image.startOfBare} times the time in which a bare server says anything`, {
  timeout: 180_000,
}, async (context) => {
  const times = await startTimes(stack, ROUNDS);
  const [bare, ours] = [median(times.bare), median(times.web)];
  await figure(
    context,
    `web answers from its stores ${ours.toFixed(0)} ms after docker run, a bare server answers after ${bare.toFixed(0)} ms: ${(ours / bare).toFixed(2)} times as long (medians of ${ROUNDS})`,
  );
  expect(ours / bare).toBeLessThan(subject.image.startOfBare);
});

it('web finds what V8 compiled of it when its image was built', async () => {
  const image = await inspect(await container('web'), '{{.Image}}');
  // Without settings it loads everything, says what it lacks, and ends.
  const debug = 'NODE_DEBUG_NATIVE=COMPILE_CACHE';
  const { code, output } = await attempt('docker', 'run', '--rm', '--read-only', '--env', debug, image);
  expect([code, output]).toEqual([
    1,
    expect.stringMatching(/cache for CommonJS \/app\/main\.cjs was accepted/),
  ]);
});
