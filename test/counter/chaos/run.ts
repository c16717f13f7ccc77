/**
 * `./stack chaos [--rounds N] [--only TEXT]`: every fault N times on a stack of its own, and a table of what its clients
 * saw. `./stack chaos --storm SECONDS [--seed N]`: random faults that overlap. Fails if a promise was broken. The tests run each fault
 * once, and a storm.
 */
import { parseArgs } from 'node:util';
import { Stack } from '../../support/stack.ts';
import { faultless } from '../checker.ts';
import { blame, type Result, runScenario, STACKS, table } from './chaos.ts';
import { report, storm } from './storm.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    storm: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});

async function causeStorm(seconds: number, seed: number): Promise<void> {
  await using stack = await Stack.start('chaos');
  console.error(`a storm of ${seconds} s, --seed ${seed}`);
  const result = await storm(stack, seconds, seed);
  console.log(report(result));
  if (!faultless(result)) process.exitCode = 1;
}

async function causeEach(): Promise<void> {
  const results: Result[] = [];
  for (const [file, all] of STACKS) {
    const scenarios = all.filter(({ name }) => name.includes(values.only));
    if (scenarios.length === 0) continue;
    await using stack = await Stack.start('chaos', file);
    for (let round = 1; round <= Number(values.rounds); round++) {
      for (const scenario of scenarios) {
        const result = await runScenario(stack, scenario);
        results.push(result);
        const blamed = blame(scenario, result);
        console.error(`round ${round}, ${scenario.name}: ${blamed.join('; ') || 'all promises kept'}`);
        if (blamed.length > 0) process.exitCode = 1;
      }
    }
  }
  console.log(table(results));
  const total = (of: (result: Result) => number) => results.reduce((sum, result) => sum + of(result), 0);
  console.log(
    `\n${results.length} faults, ${total((r) => r.visits)} visits sent, ${total((r) => r.acknowledged)} acknowledged, ` +
      `${total((r) => r.duplicates)} duplicates, ${total((r) => r.inversions)} inversions, ${total((r) => r.lost)} lost`,
  );
}

if (values.storm !== undefined) await causeStorm(Number(values.storm), Number(values.seed));
else await causeEach();
