/**
 * `./stack bench [--rounds N] [--seconds N] [--connections 1,16,64,256] [--with REVISION]... [--json FILE]`: every arm at
 * every number of connections, in turns, so that whatever else the machine does hits all of them. A table on stdout, and all
 * samples in the file. `--with main~1` measures the web of that revision as well, in the same run.
 */
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { cpus, release, type } from 'node:os';
import { parseArgs } from 'node:util';
import { ARMS, startArms } from './arms.ts';
import { measure, type Sample } from './measure.ts';
import { table } from './report.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '1,16,64,256' },
    with: { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
  },
});
const connections = values.connections.split(',').map(Number);
// As a service and a path may be called.
const revisions = values.with.map((revision) =>
  execFileSync('git', ['rev-parse', '--short', revision], { encoding: 'utf8' }).trim(),
);
const arms = [...ARMS, ...revisions];
const machine = `${cpus()[0]?.model} x${cpus().length}, ${type()} ${release()}`;

await using stack = await startArms(revisions);
const samples: Sample[] = [];
// V8 compiles what is hot within seconds.
for (const arm of arms) await measure(stack, arm, 64, 2 * Number(values.seconds));
for (let round = 0; round < Number(values.rounds); round++) {
  for (const count of connections) {
    for (const index of arms.keys()) {
      // Each round begins with another arm.
      const arm = arms[(index + round) % arms.length] ?? '';
      const sample = await measure(stack, arm, count, Number(values.seconds));
      samples.push(sample);
      console.error(
        `round ${round + 1}, ${count} connections, ${arm}: ${(sample.requests / sample.seconds).toFixed(0)}/s`,
      );
    }
  }
}
console.log(
  `${new Date().toISOString().slice(0, 10)}, ${machine}, ${values.rounds} rounds of ${values.seconds} s\n`,
);
console.log(table(samples));
if (values.json !== undefined) await writeFile(values.json, JSON.stringify({ machine, samples }, null, 1));
