import { describe, expect, it } from 'vitest';
import { faultless } from '../checker.ts';
import { BUGS } from '../models/bugs.ts';
import { SUBJECT, type Subject } from '../models/subject.ts';
import { FAULTS } from './nemesis.ts';
import { type History, simulate } from './simulate.ts';

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
async function firstBroken(subject: Subject, faults?: History['faults']): Promise<History | undefined> {
  for (let seed = 1; seed <= PATIENCE; seed++) {
    const history = await simulate({ seed, subject, ...(faults ? { faults } : {}) });
    if (!faultless(history.verdict)) return history;
  }
  return undefined;
}

describe('the counter in simulation', () => {
  it(`keeps every promise in ${HISTORIES} histories, some of them storms of overlapping faults`, {
    timeout: 300_000,
  }, async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const history = await simulate({ seed });
      const { verdict, faults, sequencer } = history;
      expect(faultless(verdict), report(history)).toBe(true);
      // When all is over, Redis is the sequencer again; and faults of web and Redis never reach a client.
      expect(sequencer, report(history)).toBe('redis');
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

  // Those of the protocol and of TaskRunner are for the exploration.
  const ofStores = Object.entries(BUGS).filter(
    ([, { subject }]) => !('protocol' in subject || 'probesAlways' in subject),
  );
  it.each(ofStores)('catches: %s', { timeout: 120_000 }, async (name, bug) => {
    // Needs two that few histories draw together.
    const faults = name.includes('late reset') ? (['late requests', 'resets'] as const) : undefined;
    const broken = await firstBroken({ ...SUBJECT, ...bug.subject }, faults);
    expect(broken && report(broken)).toMatch(/"(duplicates|inversions|lost|overCount|underCount)":[1-9]/);
  });
});
