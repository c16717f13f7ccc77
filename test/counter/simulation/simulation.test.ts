import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Counter } from '../../../web/src/counter/counter.ts';
import { faultless } from '../checker.ts';
import { BUGS, type Bug, FAULTS, type History, type Simulation, simulate } from './simulate.ts';

/** In every run; `npm run simulate -- --histories N` goes on from here. */
const HISTORIES = 3000;
/** Within so many histories a planted bug must be caught; most are in the first. */
const PATIENCE = 3000;

/** What to say of a history that breaks a promise: its seed is all that is needed to see it again. */
const report = ({ seed, faults, verdict }: History) =>
  `npm run simulate -- --seed ${seed}   [${faults.join(', ')}] ${JSON.stringify(verdict)}`;

const mayFail = (fault: string) =>
  fault.startsWith('postgres') || ['slow network', 'late requests', 'lost replies'].includes(fault);

/** The first history in which the checker finds something wrong. */
async function firstBroken(options: Omit<Simulation, 'seed'>): Promise<History | undefined> {
  for (let seed = 1; seed <= PATIENCE; seed++) {
    const history = await simulate({ seed, ...options });
    if (!faultless(history.verdict)) return history;
  }
  return undefined;
}

describe('the counter in simulation', () => {
  it(`keeps every promise in ${HISTORIES} histories of up to four kinds of fault at once`, {
    timeout: 300_000,
  }, async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const history = await simulate({ seed });
      const { verdict, faults, counting } = history;
      expect(faultless(verdict), report(history)).toBe(true);
      // When all is over, Redis counts again; and faults of web and Redis never reach a client.
      expect(counting, report(history)).toBe('redis');
      expect(history.afterQuiet, report(history)).not.toContain('refused');
      if (!faults.some(mayFail)) expect(verdict.failed, report(history)).toBe(0);
      for (const fault of faults) seen.add(fault);
    }
    expect([...seen].toSorted()).toEqual(FAULTS.toSorted());
  });

  it('counts exactly the acknowledged visits when nothing goes wrong', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const history = await simulate({ seed, faults: [] });
      expect(faultless(history.verdict), report(history)).toBe(true);
      expect(history.count, report(history)).toBe(history.verdict.acknowledged);
    }
  });

  it('is the same history again for the same seed', async () => {
    const [first, second] = [await simulate({ seed: 7 }), await simulate({ seed: 7 })];
    expect(first.trace.length).toBeGreaterThan(50);
    expect(second.trace).toEqual(first.trace);
  });

  // Harmless unless installs are also sent twice: the integration tests hold it.
  const harmless: Bug[] = ['a late install is accepted'];
  it.each(BUGS.filter((bug) => !harmless.includes(bug)))(
    'is caught: %s',
    { timeout: 120_000 },
    async (bug) => {
      // Needs two that few histories draw together.
      const faults: Pick<Simulation, 'faults'> = bug.includes('late reset')
        ? { faults: ['late requests', 'resets'] }
        : {};
      const broken = await firstBroken({ bug, ...faults });
      expect(broken && report(broken)).toMatch(/"(duplicates|inversions|lost|overCount|underCount)":[1-9]/);
    },
  );

  /** Lines of counter.ts, and what a mistake would make of them. */
  it.each([
    ['a commit that the fence refused is acknowledged', 'if (recorded) {', 'if (recorded || true) {'],
    [
      'whoever learns of an epoch installs it',
      "    if (row.counting === 'postgres')",
      "    await this.#install(row);\n    if (row.counting === 'postgres')",
    ],
    [
      'whoever finds Redis empty fills it from the row',
      'const row = await this.#ask(() => this.#postgres.handBack(epoch), wanted);',
      'const row = await this.#ask(() => this.#postgres.read(), wanted);',
    ],
    [
      'a visit counts for its whole batch',
      'last = await redis.increment(epoch, numbered.length);',
      'last = await redis.increment(epoch, 1);',
    ],
  ])('is caught: %s', { timeout: 120_000 }, async (_name, line, mistake) => {
    // As far from what it imports as the original.
    const directory = await mkdtemp('web/src/.mutant-');
    try {
      const source = await readFile('web/src/counter/counter.ts', 'utf8');
      expect(source.split(line)).toHaveLength(2);
      const file = resolve(directory, 'counter.ts');
      await writeFile(file, source.replace(line, mistake));
      const mutant: { Counter: typeof Counter } = await import(file);
      const broken = await firstBroken({ counter: mutant.Counter });
      expect(broken && report(broken)).toMatch(/"(duplicates|inversions|lost|overCount|underCount)":[1-9]/);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
