/** `./stack swarm test [PATTERN]`: every fault of faults.ts whose name matches, on three nodes; a table in Markdown. */
import { markdown } from '../../support/markdown.ts';
import { Nodes } from '../../support/nodes.ts';
import { blame, runFault } from './fault.ts';
import { FAULTS } from './faults.ts';

const [pattern = ''] = process.argv.slice(2);
await using swarm = await Nodes.boot();
const started = performance.now();
await swarm.does('deploy');
console.error(`deployed after ${((performance.now() - started) / 1000).toFixed(0)} s`);

const lines: (string | number)[][] = [];
for (const fault of FAULTS.filter(({ name }) => new RegExp(pattern).test(name))) {
  console.error(fault.name);
  try {
    const result = await runFault(swarm, fault);
    const { visits, acknowledged, errors, duplicates, inversions, lost, slowestMs, normalS, primaryS } =
      result;
    const figures = [visits, acknowledged, errors.length, duplicates, inversions, lost];
    const seconds = [slowestMs / 1000, normalS].map((s) => s.toFixed(1));
    lines.push([fault.name, ...figures, ...seconds, primaryS?.toFixed(1) ?? '-']);
    console.error(`  ${lines.at(-1)?.slice(1).join(' ')}`);
    for (const wrong of blame(fault, result)) throw new Error(wrong);
  } catch (error) {
    console.error(error, await swarm.report());
    process.exitCode = 1;
  }
}
const headings = ['fault', 'visits', 'acknowledged', 'errors', 'duplicates', 'inversions', 'lost'];
console.log(markdown([...headings, 'slowest, s', 'normal after, s', 'new primary after, s'], lines));
