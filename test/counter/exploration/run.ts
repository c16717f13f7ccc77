/**
 * `npm run explore -- [--replicas N] [--visits N] [--resets N] [--faults N] [--start]`: explores one world to its end; --visits are at each
 * replica, and with --start Redis is empty at first. `--bug NAME` explores with a planted bug, and prints the shortest way to see it.
 * `--table` prints the steps of the protocol for docs/counter.md, `--json` all that was found.
 */
import { parseArgs } from 'node:util';
import { BUGS } from '../models/bugs.ts';
import { SUBJECT } from '../models/subject.ts';
import { explore } from './explore.ts';
import { table } from './table.ts';
import { trace } from './trace.ts';
import { WORLDS } from './worlds.ts';

const { values } = parseArgs({
  options: {
    replicas: { type: 'string' },
    visits: { type: 'string' },
    resets: { type: 'string' },
    faults: { type: 'string' },
    start: { type: 'boolean' },
    bug: { type: 'string' },
    table: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

const bug = values.bug === undefined ? undefined : BUGS[values.bug];
if (values.bug !== undefined && !bug) {
  console.error(`there is no bug '${values.bug}': give one of\n  ${Object.keys(BUGS).join('\n  ')}`);
  process.exit(2);
}
const size = { settled: true, ...WORLDS['a fault'], ...(bug ? { resets: 0, ...bug.size } : {}) };
for (const name of ['replicas', 'visits', 'resets', 'faults'] as const) {
  const given = values[name];
  if (given === undefined) continue;
  size[name] = Number(given);
  if (!Number.isSafeInteger(size[name]) || size[name] < 0) {
    console.error(`--${name} takes a whole number, not '${given}'`);
    process.exit(2);
  }
}
if (values.start) size.settled = false;

const subject = { ...SUBJECT, ...bug?.subject };
const started = performance.now();
const found = explore(size, subject);
const { states, transitions, depth, isComplete, steps, counterexample } = found;
const seconds = (performance.now() - started) / 1000;
if (values.table) console.log(table(Object.values(WORLDS).flatMap((world) => [...explore(world).steps])));
if (counterexample) console.log(trace(counterexample, size, subject));
const inAll =
  `${states} states, ${transitions} transitions, depth ${depth}, ${isComplete ? 'to the end' : 'not to the end'}: ` +
  `${seconds.toFixed(1)} s, ${Math.round(states / seconds)} states a second`;
console.log(
  values.json ? JSON.stringify({ ...found, actions: [...found.actions], steps: [...steps] }) : inAll,
);
process.exitCode = counterexample ? 1 : 0;
