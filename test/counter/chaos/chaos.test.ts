import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Stack } from '../../support/stack.ts';
import { blame, type Result, runScenario, STACKS, table } from './chaos.ts';

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
