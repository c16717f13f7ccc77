import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stack } from '../../support/stack.ts';
import { faultless } from '../checker.ts';
import { blame, type Result, runScenario, STACKS, table } from './chaos.ts';
import { report, storm } from './storm.ts';

const results: Result[] = [];
afterAll(() => console.log(table(results)));

describe.each(STACKS)('the stack under faults (%s)', (file, scenarios) => {
  let stack: Stack;

  beforeAll(async () => {
    stack = await Stack.start('chaos-test', file);
  });
  afterAll(() => stack[Symbol.asyncDispose]());

  it.each(scenarios)('keeps its promises: $name', async (scenario) => {
    const result = await runScenario(stack, scenario);
    results.push(result);
    // `./stack chaos` holds the times to the letter; here only what hangs is to fail, not a machine that is busy.
    expect(blame(scenario, result, 1000)).toEqual([]);
  });
});

it('keeps its promises in half a minute of random faults that overlap', { timeout: 180_000 }, async () => {
  await using stack = await Stack.start('storm-test');
  const seed = Date.now() % 1_000_000;
  const result = await storm(stack, 30, seed);
  console.log(`./stack chaos --storm 30 --seed ${seed}\n${report(result)}`);
  expect(faultless(result)).toBe(true);
  expect(Object.keys(result.faults).length).toBeGreaterThan(10);
  // The whole budget of a request, and a machine that is busy.
  expect(result.slowestMs).toBeLessThan(8000);
});
