import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stack } from '../stack/stack.ts';
import { blame, type Result, runScenario, SCENARIOS, table } from './chaos.ts';

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
    expect(blame(scenario, result)).toEqual([]);
  });
});
