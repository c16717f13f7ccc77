/**
 * `./stack bench`: every arm at every number of connections, in turns, so that whatever else the machine does hits all of
 * them; then one to six replicas; then the start and the sizes. Writes the tables to stdout and, with all samples as JSON
 * and the figures as SVG, into a directory.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, release, type } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { until } from '../test/support/faults.ts';
import { startArms } from './arms.ts';
import { measure, type Sample } from './measure.ts';
import { check, manyMachines, model } from './model.ts';
import { ARMS, PARTS } from './names.ts';
import * as plots from './plots.ts';
import { longer, rate, singleVisitor, table } from './report.ts';
import { startAndSize } from './start.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '1,16,64,256' },
    /** Only these arms, and nothing but the table. */
    arms: { type: 'string' },
    /** The web of this revision as well, in the same run. */
    with: { type: 'string', multiple: true, default: [] },
    out: { type: 'string', default: 'bench/out' },
  },
});
const [rounds, seconds] = [Number(options.rounds), Number(options.seconds)];
const connections = options.connections.split(',').map(Number);
// As a service and a path may be called.
const revisions = options.with.map((revision) =>
  execFileSync('git', ['rev-parse', '--short', revision], { encoding: 'utf8' }).trim(),
);
const arms: string[] = [...(options.arms?.split(',') ?? ARMS), ...revisions];
/** A load at which every replica has work, whatever their number. */
const CONNECTIONS_A_REPLICA = 32;

await using stack = await startArms(revisions);
// In the fallback a visit costs something else.
await until(() => stack.isReady());

async function sample(arm: string, count: number): Promise<Sample> {
  const taken = await measure(stack, arm, count, seconds);
  console.error(`${taken.replicas} × ${arm}, ${count} connections: ${rate(taken).toFixed(0)} a second`);
  return taken;
}

async function scale(replicas: number): Promise<void> {
  await stack.compose('up', '--wait', '--no-deps', '--no-recreate', '--scale', `web=${replicas}`, 'web');
  // NGINX asks for their addresses once a second.
  await sleep(1500);
  await warmUp('visit');
}

/** V8 compiles what is hot within seconds. */
const warmUp = (arm: string) => measure(stack, arm, 64, seconds);

const samples: Sample[] = [];
const parts: readonly string[] = options.arms === undefined ? PARTS : [];
for (const arm of [...arms, ...parts]) await warmUp(arm);
for (let round = 0; round < rounds; round++) {
  for (const count of connections) {
    const these = count === 1 ? [...arms, ...parts] : arms;
    // Each round begins with another arm.
    for (const index of these.keys()) {
      samples.push(await sample(these[(index + round) % these.length] ?? '', count));
    }
  }
}

const machine = `${cpus()[0]?.model} × ${cpus().length}, ${type()} ${release()}`;
const report = [
  `${new Date().toISOString().slice(0, 10)}, ${machine}, ${rounds} rounds of ${seconds} s: medians, and in parentheses the range.`,
  table(samples),
];
const visits = samples.filter(({ arm }) => arm === 'visit');
const scaled: Sample[] = [];
if (options.arms === undefined) {
  report.push(singleVisitor(samples));
  for (let round = 0; round < Math.ceil(rounds / 2); round++) {
    for (const replicas of [1, 2, 3, 4, 5, 6]) {
      await scale(replicas);
      for (const count of new Set([64, CONNECTIONS_A_REPLICA * replicas])) {
        scaled.push(await sample('visit', count));
      }
    }
  }
  const fitted = model(visits.filter((s) => s.connections > 1));
  const commitUs = longer(samples, 'commit', 'lean');
  report.push(
    `A visit costs ${fitted.total.a.toFixed(0)} µs and a batch ${fitted.total.b.toFixed(0)} µs of processor time; ${(fitted.gathered * 100).toFixed(0)} % of the visitors are in a batch; ${fitted.processors.toFixed(2)} processors work. Fitted to three replicas:`,
    check(fitted, scaled),
    `Where each container has a processor of its own, a commit takes ${commitUs.toFixed(0)} µs and visits come in batches of a hundred:`,
    manyMachines(fitted, commitUs),
    await startAndSize(stack, 6 * rounds),
  );
  await mkdir(options.out, { recursive: true });
  const load = ({ connections }: Sample) =>
    connections === 64 ? '64 connections' : `${CONNECTIONS_A_REPLICA} connections a replica`;
  await writeFile(`${options.out}/throughput.svg`, await plots.throughput(samples));
  await writeFile(`${options.out}/latency.svg`, await plots.latency(samples));
  await writeFile(`${options.out}/replicas.svg`, await plots.replicas(fitted, scaled, load));
  await writeFile(`${options.out}/samples.json`, `${JSON.stringify({ machine, samples, scaled })}\n`);
  await writeFile(`${options.out}/tables.md`, `${report.join('\n\n')}\n`);
}
console.log(report.join('\n\n'));
