import { expect, it } from 'vitest';
import { Counter, type PostgresStore, type RedisStore } from './counter.ts';

/** Stores that always answer, and a counter on them that counts its commits; time stands still but for `pass`. */
function start() {
  let count = 0;
  let commits = 0;
  let now = 0;
  let timers: { at: number; callback: () => void }[] = [];
  const redis: RedisStore = {
    increment: async (_epoch, n) => {
      count += n;
      return count;
    },
    install: async () => {},
  };
  const row = { count: 0, epoch: 1, counting: 'redis' } as const;
  const postgres: PostgresStore = {
    read: async () => row,
    record: async () => {
      commits++;
      now += 1;
      return true;
    },
    takeOver: async () => undefined,
    handBack: async () => undefined,
    reset: async () => row,
  };
  const clock = {
    now: () => now,
    after: (ms: number, callback: () => void) => {
      const timer = { at: now + ms, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
  };
  const pass = (ms: number) => {
    now += ms;
    for (const { callback } of timers.filter(({ at }) => at <= now)) callback();
  };
  const log = { info: () => {}, warn: () => {} };
  return {
    counter: new Counter({ redis, postgres, waitMs: 5000, log, clock }),
    commits: () => commits,
    pass,
  };
}

const visits = (counter: Counter, n: number) => Promise.all(Array.from({ length: n }, () => counter.visit()));

it('commits the visits of visitors who come back once, though they come one after the other', async () => {
  const { counter, commits } = start();
  await visits(counter, 8);
  const before = commits();
  const coming: Promise<number>[] = [];
  for (let visitor = 0; visitor < 8; visitor++) {
    coming.push(counter.visit());
    await Promise.resolve();
  }
  expect(await Promise.all(coming)).toEqual([9, 10, 11, 12, 13, 14, 15, 16]);
  expect(commits() - before).toBe(1);
});

it('does not wait for the last of twenty', async () => {
  const { counter, commits } = start();
  await visits(counter, 20);
  const before = commits();
  expect(await visits(counter, 19)).toEqual(Array.from({ length: 19 }, (_, i) => 21 + i));
  expect(commits() - before).toBe(1);
});

it('waits for the second last of twenty', async () => {
  const { counter, commits, pass } = start();
  await visits(counter, 20);
  const before = commits();
  const coming = visits(counter, 18);
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  expect(commits()).toBe(before);
  pass(20);
  await coming;
  expect(commits() - before).toBe(1);
});

it('does not wait for visitors who stay away for longer than 20 ms', async () => {
  const { counter, pass } = start();
  await visits(counter, 8);
  const visit = counter.visit();
  pass(20);
  expect(await visit).toBe(9);
});

it('lets a single visitor never wait for others', async () => {
  const { counter, commits } = start();
  expect(await counter.visit()).toBe(1);
  expect(await counter.visit()).toBe(2);
  expect(commits()).toBe(2);
});

it('does not wait for anybody once it is closed', async () => {
  const { counter } = start();
  await visits(counter, 8);
  const visit = counter.visit();
  await counter.close();
  expect(await visit).toBe(9);
});
