import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { BUGS } from '../models/bugs.ts';
import { SUBJECT } from '../models/subject.ts';
import { explore } from './explore.ts';
import { FAULTS } from './faults.ts';
import { table } from './table.ts';
import { trace } from './trace.ts';
import { WORLDS } from './worlds.ts';

const run = promisify(execFile);
const docs = await readFile('docs/counter.md', 'utf8');

/** Of a process of its own, which has the memory of so many states. */
interface Found {
  states: number;
  transitions: number;
  depth: number;
  isComplete: boolean;
  actions: string[];
  steps: string[];
}

describe('the protocol, explored', () => {
  const steps: string[] = [];

  it('keeps every promise in two replicas, two visits, a reset and a fault, in every order, to the end', {
    timeout: 600_000,
  }, async () => {
    const { stdout } = await run('node', ['test/counter/exploration/run.ts', '--json'], {
      maxBuffer: 2 ** 24,
    });
    const found: Found = JSON.parse(stdout);
    console.log(`${found.states} states, ${found.transitions} transitions, depth ${found.depth}`);
    expect(found.isComplete).toBe(true);
    // An exploration that explores nothing would find nothing.
    expect(found.states).toBeGreaterThan(1_000_000);
    expect(found.actions).toEqual(expect.arrayContaining([...FAULTS]));
    expect(docs).toContain(`${found.states.toLocaleString('en')} states`);
    expect(docs).toContain(`${found.transitions.toLocaleString('en')} transitions`);
    steps.push(...found.steps);
  });

  it('is the same again: states, transitions and depth', () => {
    const size = { replicas: 2, visits: 1, resets: 0, faults: 1 };
    const [first, second] = [explore(size), explore(size)];
    expect(first.isComplete).toBe(true);
    expect(second).toEqual(first);
  });

  const smaller = Object.entries(WORLDS).filter(([name]) => name !== 'a fault');
  it.each(smaller)('keeps every promise with %s', { timeout: 120_000 }, (_name, size) => {
    const { isComplete, counterexample, ...found } = explore(size);
    steps.push(...found.steps);
    expect(counterexample && trace(counterexample, size)).toBe(undefined);
    expect(isComplete).toBe(true);
  });

  it('takes the steps that the documentation shows, and no others', () => {
    expect(docs).toContain(table(steps));
  });

  it.each(Object.entries(BUGS))(
    'finds the shortest way to see: %s',
    { timeout: 120_000 },
    (name, { subject, size }) => {
      const world = { replicas: 2, visits: 1, resets: 0, faults: 1, ...size };
      const { counterexample } = explore(world, { ...SUBJECT, ...subject });
      const length = counterexample?.actions.length;
      expect(length).toBeGreaterThan(0);
      expect(docs).toContain(`| ${name} | ${length} |`);
      // It can be performed again, and read.
      expect(counterexample && trace(counterexample, world, { ...SUBJECT, ...subject })).toMatch(
        /^ +1\. .*\n.*BROKEN: /s,
      );
    },
  );
});
