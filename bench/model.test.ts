import { expect, it } from 'vitest';
import { median } from '../test/support/median.ts';
import type { Sample } from './measure.ts';
import { check, leastSquares, model, predict } from './model.ts';
import { table } from './report.ts';

/** A visit of 100 µs and a batch of 500, of which web takes half; all visitors are in batches; 1.5 processors work. */
function visits(connections: number, replicas = 3): Sample {
  const batches = replicas / connections;
  const us = 100 + 500 * batches;
  const requests = (1.5e6 / us) * 10;
  return {
    arm: 'visit',
    connections,
    replicas,
    requests,
    seconds: 10,
    errors: 0,
    p50: 1,
    p99: 2,
    p999: 3,
    cpu: { web: (requests * us) / 2e6, rest: (requests * us) / 2e6, wrk: 1 },
    memory: { own: 40, resident: 90 },
    commits: requests * batches,
    commands: requests * batches,
  };
}

it('finds the line that the points are on', () => {
  const { a, b } = leastSquares([0, 1, 5].map((x) => ({ x, y: 3 + 2 * x })));
  expect([a, b]).toEqual([expect.closeTo(3), expect.closeTo(2)]);
});

it('finds what a visit and a batch cost, and predicts other numbers of replicas and visitors from it', () => {
  const fitted = model([16, 64, 256].map((connections) => visits(connections)));
  expect(fitted).toMatchObject({
    total: { a: expect.closeTo(100), b: expect.closeTo(500) },
    gathered: expect.closeTo(1),
    processors: expect.closeTo(1.5),
  });
  expect(fitted.of('web')).toEqual({ a: expect.closeTo(50), b: expect.closeTo(250) });
  expect(predict(fitted, 6, 64)).toBeCloseTo(1.5e6 / (100 + (500 * 6) / 64));
  expect(check(fitted, [visits(64, 6)])).toMatch(
    /\| 6 \| 64 \| 10213 \| 10213 \| -?0 % \| 94 \| 147 \| 2.0 \|$/,
  );
});

it('compares each round of an arm with the same round of nothing', () => {
  const of = (arm: string, requests: number): Sample => ({ ...visits(64), arm, requests });
  const samples = [of('nothing', 100), of('visit', 50), of('nothing', 1000), of('visit', 900)];
  expect(table(samples).split('\n').at(-1)).toContain('| 64 | visit | 48 (5 to 90) | 0.70 (0.50 to 0.90) |');
});

it('takes the middle one of an odd number, and the mean of the two in the middle of an even one', () => {
  expect([median([3, 1, 2]), median([4, 1, 3, 2]), median([])]).toEqual([2, 2.5, Number.NaN]);
});
