import { describe, expect, it } from 'vitest';
import { PendingRequests, Refused } from './pending.ts';

/** A clock that a test turns. */
function pendingAt(most = 10) {
  let now = 0;
  const timers = new Set<() => void>();
  const refusals: string[] = [];
  const clock = {
    now: () => now,
    after: (_ms: number, callback: () => void) => {
      timers.add(callback);
      return () => timers.delete(callback);
    },
  };
  const requests = new PendingRequests(clock, 1000, most, (reason) => refusals.push(reason));
  const turn = (ms: number) => {
    now += ms;
  };
  return { requests, refusals, turn, timers };
}

describe('pending requests', () => {
  it('are counted until each is settled, in any order and once', async () => {
    const { requests } = pendingAt();
    const all = Array.from({ length: 5 }, () => requests.admit<number>({}));
    for (const [index, left] of [
      [2, 4],
      [4, 3],
      [0, 2],
      [0, 2],
      [3, 1],
      [1, 0],
    ] as const) {
      all[index]?.resolve(index);
      expect(requests.count).toBe(left);
    }
    expect(await Promise.all(all.map((each) => each.answer))).toEqual([0, 1, 2, 3, 4]);
  });

  it('tell how long the oldest that is left has waited', () => {
    const { requests, turn } = pendingAt();
    expect(requests.oldestMs).toBe(0);
    const first = requests.admit<void>({});
    turn(30);
    const second = requests.admit<void>({});
    turn(12);
    expect(requests.oldestMs).toBe(42);
    first.resolve();
    expect(requests.oldestMs).toBe(12);
    second.resolve();
    expect(requests.oldestMs).toBe(0);
  });

  it('keep nothing of a request that is settled, deadline included', () => {
    const { requests, timers } = pendingAt();
    for (let i = 0; i < 100; i++) requests.admit<void>({}).resolve();
    expect([requests.count, timers.size]).toEqual([0, 0]);
  });

  it('tell of each refusal its reason, once', async () => {
    const { requests, refusals, timers } = pendingAt(2);
    const late = requests.admit<void>({});
    const broken = requests.admit<void>({});
    expect(() => requests.admit({})).toThrow('2 requests are pending already');
    broken.refuse(new Error('a store'));
    broken.refuse(new Error('a store'));
    expect(() => requests.admit({ waitedMs: 1000 })).toThrow(Refused);
    for (const end of timers) end();
    await expect(late.answer).rejects.toThrow('did not answer in time');
    await expect(broken.answer).rejects.toThrow('a store');
    expect(refusals).toEqual(['full', 'failed', 'late', 'deadline']);
  });
});
