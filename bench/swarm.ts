/**
 * `./stack swarm bench [--rounds N] [--seconds N]`: `GET /` through the NGINX of three nodes next to one node with as many
 * replicas, in turns; and what a commit takes that waits for a standby. All nodes share this machine's processors: the ratio is
 * the price of the networks between them and of the standby, not the gain of three machines.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { markdown } from '../test/support/markdown.ts';
import { median } from '../test/support/median.ts';
import { Nodes } from '../test/support/nodes.ts';
import { Stack } from '../test/support/stack.ts';
import type { Sample } from './measure.ts';
import { manyMachines, model } from './model.ts';
import { longer } from './report.ts';
import { wrk } from './wrk.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '4' } },
});
const CONNECTIONS = 66;

/** All addresses at once, with as many connections in all. */
async function measure(addresses: string[]): Promise<{ rate: number; p50: number; p99: number }> {
  const answered = await Promise.all(
    addresses.map((address) => wrk(`${address}/`, CONNECTIONS / addresses.length, Number(values.seconds))),
  );
  const errors = answered.reduce((sum, one) => sum + one.errors, 0);
  if (errors > 0) throw new Error(`${errors} requests failed`);
  return {
    rate: answered.reduce((sum, { requests, seconds }) => sum + requests / seconds, 0),
    p50: median(answered.map(({ p50 }) => p50)),
    p99: Math.max(...answered.map(({ p99 }) => p99)),
  };
}

/** What a commit of the row takes in Postgres itself, in microseconds: `on` waits for a standby, `local` for the disk alone. */
async function commitUs(swarm: Nodes, wait: 'on' | 'local'): Promise<number> {
  const count = 500;
  const body = `FOR i IN 1..${count} LOOP UPDATE visitors SET visitor_count = visitor_count; COMMIT; END LOOP`;
  const now = 'SELECT extract(epoch FROM clock_timestamp())';
  // In one session, each by itself: a block that commits may not be part of a transaction.
  const statements = [`SET synchronous_commit = ${wait}`, now, `DO 'BEGIN ${body}; END'`, now];
  const commands = statements.flatMap((statement) => ['-c', statement]);
  const times = await swarm.inside(`postgres-${await swarm.primary()}`, 'psql', '-qAt', ...commands);
  const [began = Number.NaN, ended = Number.NaN] = times.trim().split('\n').map(Number);
  return ((ended - began) / count) * 1e6;
}

await using swarm = await Nodes.boot();
await swarm.does('deploy');
await swarm.whole();
const [first] = swarm.nodes;
if (!first) throw new Error('there is no node');
// The same images by Compose on the first node, at another port.
const one = new Stack(swarm.name.replace('swarm', 'one'), '8080');
await one.compose('build');
await first.load((await one.compose('config', '--images')).split('\n').filter(Boolean));
process.env.DOCKER_HOST = first.engine;
await one.compose('up', '--detach', '--no-build', '--wait', 'nginx', 'web', 'redis', 'postgres');

const arms = {
  'three nodes, by three NGINX': swarm.addresses,
  'three nodes, by one NGINX': swarm.addresses.slice(0, 1),
  'one node': [`${first.address}:8080`],
};
const samples = new Map<string, { rate: number; p50: number; p99: number }[]>();
for (const addresses of Object.values(arms)) await measure(addresses);
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [arm, addresses] of Object.entries(arms)) {
    const sample = await measure(addresses);
    console.error(`${arm}: ${sample.rate.toFixed(0)} a second`);
    samples.set(arm, [...(samples.get(arm) ?? []), sample]);
  }
}
const of = (arm: string) => samples.get(arm) ?? [];
const lines = Object.keys(arms).map((arm) => {
  const ratios = of(arm).map(({ rate }, round) => rate / (of('one node')[round]?.rate ?? Number.NaN));
  return [
    arm,
    median(of(arm).map(({ rate }) => rate)).toFixed(0),
    `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
    median(of(arm).map(({ p50 }) => p50)).toFixed(1),
    median(of(arm).map(({ p99 }) => p99)).toFixed(1),
  ];
});
console.log(markdown(['66 connections', 'visits a second', 'next to one node', 'p50, ms', 'p99, ms'], lines));
const commits = { on: [] as number[], local: [] as number[] };
for (let round = 0; round < Number(values.rounds); round++) {
  for (const wait of ['on', 'local'] as const) commits[wait].push(await commitUs(swarm, wait));
}
const [local, synchronous] = [median(commits.local), median(commits.on)];
console.log(
  `\nA commit takes ${local.toFixed(0)} µs in Postgres, and ${synchronous.toFixed(0)} µs with a standby on another node.`,
);

// What `./stack bench` measured on one machine, with the standby's part of a commit.
const measured: { samples: Sample[] } = JSON.parse(await readFile('docs/performance/samples.json', 'utf8'));
const fitted = model(measured.samples.filter((s) => s.arm === 'visit' && s.connections > 1));
const commit = longer(measured.samples, 'commit', 'lean');
for (const [apart, us] of [
  ['as here', 0],
  ['1 ms apart', 1000],
  ['10 ms apart', 10_000],
] as const) {
  const takes = commit + synchronous - local + us;
  console.log(
    `\nNodes ${apart}, where a commit takes ${(takes / 1000).toFixed(1)} ms:\n${manyMachines(fitted, takes)}`,
  );
}
