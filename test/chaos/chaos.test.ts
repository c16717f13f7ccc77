import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stack } from '../stack/stack.ts';
import { type Result, runScenario, SCENARIOS, table } from './chaos.ts';

describe('the stack under faults', () => {
  let stack: Stack;
  const results: Result[] = [];

  beforeAll(async () => {
    stack = await Stack.start('chaos-test');
  });
  afterAll(async () => {
    console.log(table(results));
    await stack[Symbol.asyncDispose]();
  });

  it.each(SCENARIOS)('keeps its promises: $name', async (scenario) => {
    const result = await runScenario(stack, scenario);
    results.push(result);
    const { duplicates, inversions, lost, underCount, failed, errors, slowestMs, outageMs } = result;
    expect({ duplicates, inversions, lost, underCount }).toEqual({
      duplicates: 0,
      inversions: 0,
      lost: 0,
      underCount: 0,
    });
    if (!scenario.mayFail) expect({ failed, errors }).toEqual({ failed: 0, errors: [] });
    expect(slowestMs).toBeLessThan(scenario.slowest(outageMs));
  });
});
