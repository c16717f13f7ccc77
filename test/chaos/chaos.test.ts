import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stack } from '../stack/stack.ts';
import { blame, type Result, runScenario, SCENARIOS, table } from './chaos.ts';

describe('the stack under faults', () => {
  let stack: Stack;
  const results: Result[] = [];

  beforeAll(async () => {
    stack = await Stack.start('chaos-test', 'test/chaos/redis-with-a-disk.yml');
  });
  afterAll(async () => {
    console.log(table(results));
    await stack[Symbol.asyncDispose]();
  });

  it.each(SCENARIOS)('keeps its promises: $name', async (scenario) => {
    const result = await runScenario(stack, scenario);
    results.push(result);
    // `./stack chaos` holds the times to the letter; here only what hangs is to fail, not a machine that is busy.
    expect(blame(scenario, result, 1000)).toEqual([]);
  });
});
