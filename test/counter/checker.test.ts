import { describe, expect, it } from 'vitest';
import { check, faultless, type Operation, slowest } from './checker.ts';

const visit = (invoked: number, completed: number, result?: number): Operation => ({
  kind: 'visit',
  invoked,
  completed,
  result,
});
const reset = (invoked: number, completed: number, confirmed = true): Operation => ({
  kind: 'reset',
  invoked,
  completed,
  result: confirmed || undefined,
});
const clean = { duplicates: 0, inversions: 0, lost: 0, overCount: 0, underCount: 0 };
const verdict = (history: Operation[], count: number, surplus = 0) => check(history, { count, surplus });

describe('the checker', () => {
  it('finds nothing wrong with visits one after the other', () => {
    const history = [visit(0, 1, 1), visit(2, 3, 2), visit(4, 5, 3)];
    expect(verdict(history, 3)).toEqual({ visits: 3, acknowledged: 3, failed: 0, ...clean });
    expect(faultless(verdict(history, 3))).toBe(true);
  });

  it('finds nothing wrong with visits at the same time, in whatever order they are numbered', () => {
    expect(verdict([visit(0, 9, 3), visit(1, 8, 1), visit(2, 7, 2)], 3)).toMatchObject(clean);
  });

  it('counts a number that was shown twice', () => {
    expect(verdict([visit(0, 1, 1), visit(0, 2, 1), visit(0, 3, 1)], 3)).toMatchObject({
      ...clean,
      duplicates: 2,
    });
  });

  it('counts a visit that was sent after the answer to a larger number', () => {
    expect(verdict([visit(0, 1, 2), visit(2, 3, 1)], 2)).toMatchObject({ ...clean, inversions: 1 });
  });

  it('allows a number that was answered at the very moment when another was sent', () => {
    expect(verdict([visit(0, 2, 2), visit(2, 3, 1)], 2)).toMatchObject(clean);
  });

  it('counts acknowledged numbers that the durable count does not contain', () => {
    expect(verdict([visit(0, 1, 1), visit(2, 3, 2), visit(4, 5, 3)], 1)).toMatchObject({
      lost: 2,
      underCount: 2,
    });
  });

  it('allows as much over-count as attempts failed, and no more', () => {
    const history = [visit(0, 1, 1), visit(2, 3), visit(4, 5, 3)];
    expect(verdict(history, 3)).toMatchObject(clean);
    expect(verdict(history, 4)).toMatchObject({ ...clean, overCount: 1 });
    expect(verdict(history, 4, 1)).toMatchObject(clean);
  });

  it('allows the same numbers again after a reset', () => {
    expect(verdict([visit(0, 1, 1), visit(2, 3, 2), reset(4, 5), visit(6, 7, 1)], 1)).toMatchObject(clean);
  });

  it('blames numbers that go on after a reset, for the durable count is then too large', () => {
    expect(verdict([visit(0, 1, 1), reset(4, 5), visit(6, 7, 2)], 2)).toMatchObject({ overCount: 1 });
  });

  it('blames a number that was shown twice after a reset', () => {
    expect(verdict([visit(0, 1, 1), reset(2, 3), visit(4, 5, 1), visit(6, 7, 1)], 2)).toMatchObject({
      duplicates: 1,
    });
  });

  it('lets a visit during a reset count before it or after it, but not in a third place', () => {
    const history = [visit(0, 1, 1), reset(2, 9), visit(3, 4, 1), visit(10, 11, 2)];
    expect(verdict(history, 2)).toMatchObject(clean);
    // Number 1 before, number 1 during and number 1 after: the reset took effect twice.
    expect(verdict([...history, visit(10, 12, 1)], 2)).toMatchObject({ duplicates: 1 });
  });

  it('blames a reset that failed and takes effect after a later one was confirmed', () => {
    const failed = [visit(0, 1, 1), reset(2, 3, false), reset(4, 5), visit(6, 7, 1), visit(8, 9, 1)];
    expect(verdict(failed, 1)).toMatchObject({ duplicates: 1 });
    const between = [visit(0, 1, 1), reset(2, 3, false), visit(3, 4, 1), reset(5, 6), visit(7, 8, 1)];
    expect(verdict(between, 1)).toMatchObject(clean);
  });

  it('lets a reset that failed take effect at any time after, or never', () => {
    const before = [visit(0, 1, 1), reset(2, 3, false)];
    expect(verdict([...before, visit(4, 5, 2)], 2)).toMatchObject(clean);
    expect(verdict([...before, visit(4, 5, 2), visit(6, 7, 1)], 1)).toMatchObject(clean);
  });

  it('checks 200,000 operations in a moment', () => {
    const history = Array.from({ length: 200_000 }, (_, i) => visit(i, i + 64.5, i + 1));
    expect(verdict(history, history.length)).toMatchObject(clean);
    expect(slowest(history)).toBe(64.5);
  });
});

it('the slowest of operations may be one that failed', () => {
  expect(slowest([visit(0, 2, 1), visit(1, 9), reset(3, 4)])).toBe(8);
});
