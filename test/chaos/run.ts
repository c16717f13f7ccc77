/**
 * `./stack chaos [--rounds N] [--only TEXT]`: every fault N times on a stack of its own, and a table of what its clients
 * saw. Fails if a promise was broken. The tests run each fault once.
 */
import { parseArgs } from 'node:util';
import { Stack } from '../stack/stack.ts';
import { blame, type Result, runScenario, SCENARIOS, table } from './chaos.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, only: { type: 'string', default: '' } },
});

await using stack = await Stack.start('chaos', 'test/chaos/redis-with-a-disk.yml');
const results: Result[] = [];
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const scenario of SCENARIOS.filter(({ name }) => name.includes(values.only))) {
    const result = await runScenario(stack, scenario);
    results.push(result);
    console.error(
      `round ${round}, ${scenario.name}: ${blame(scenario, result).join('; ') || 'all promises kept'}`,
    );
    if (blame(scenario, result).length > 0) process.exitCode = 1;
  }
}
console.log(table(results));
const total = (of: (result: Result) => number) => results.reduce((sum, result) => sum + of(result), 0);
console.log(
  `\n${results.length} faults, ${total((r) => r.visits)} visits sent, ${total((r) => r.acknowledged)} acknowledged, ` +
    `${total((r) => r.duplicates)} duplicates, ${total((r) => r.inversions)} inversions, ${total((r) => r.lost)} lost`,
);
