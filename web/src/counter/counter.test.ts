import { expect, it } from 'vitest';
import { StoreError } from '../unavailable.ts';
import { Counter, type PostgresStore, type RedisStore } from './counter.ts';

/** Stores that always answer, and a counter on them that counts its commits; time stands still but for `pass`. */
function start(overrides: Partial<PostgresStore> = {}) {
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
    ...overrides,
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
    const due = timers.filter(({ at }) => at <= now);
    timers = timers.filter(({ at }) => at > now);
    for (const { callback } of due) callback();
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

/** Lets everything run that waits for no timer. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

it('counts again as soon as Postgres can, though the visitor who met the outage has left', async () => {
  const slow = Promise.withResolvers<void>();
  const row = { count: 0, epoch: 1, counting: 'redis' } as const;
  let reads = 0;
  const read = async () => {
    reads++;
    if (reads === 1) throw new StoreError('refused');
    if (reads === 2) await slow.promise;
    return row;
  };
  const { counter, pass } = start({ read });
  let left = false;
  const first = counter.visit(() => left);
  first.catch(() => {});
  await settle();
  pass(100);
  await settle();
  expect(reads).toBe(2);
  left = true;
  slow.resolve();
  await settle();
  // Longer than a visit waits.
  pass(6000);
  await expect(first).rejects.toThrow();
  expect(await counter.visit()).toBeGreaterThan(0);
  expect(counter.state.postgresAway).toBe(false);
});

it('goes on probing while nobody asks, and while a standby can be read and not written', async () => {
  let writable = false;
  const record = async () => {
    if (!writable) throw new StoreError('read-only');
    return true;
  };
  const { counter, pass } = start({ record });
  const first = counter.visit();
  first.catch(() => {});
  await settle();
  for (let i = 0; i < 100; i++) {
    pass(100);
    await settle();
  }
  await expect(first).rejects.toThrow('in time');
  await expect(counter.visit()).rejects.toThrow('Postgres is away');
  writable = true;
  pass(100);
  await settle();
  expect(await counter.visit()).toBe(2);
});

it('asks Postgres anew after a statement failed: what was known may be why', async () => {
  let epoch = 2 ** 62;
  const read = async () => ({ count: 0, epoch, counting: 'redis' }) as const;
  const record = async (of: number) => {
    if (of > Number.MAX_SAFE_INTEGER) throw new StoreError('bigint out of range');
    return true;
  };
  const { counter, pass } = start({ read, record });
  const visit = counter.visit();
  visit.catch(() => {});
  await settle();
  epoch = 3;
  for (let i = 0; i < 60; i++) {
    pass(100);
    await settle();
  }
  await expect(visit).rejects.toThrow();
  expect(await counter.visit()).toBe(2);
});

it('gives a request the rest of the wait that it has not spent elsewhere', async () => {
  const never = () => new Promise<never>(() => {});
  const { counter, pass } = start({ read: never });
  const [late, fresh] = [counter.visit(() => false, 4000), counter.reset('a', 0, 1000)];
  const refused: string[] = [];
  late.catch(() => refused.push('late'));
  fresh.catch(() => refused.push('fresh'));
  pass(999);
  await settle();
  expect(refused).toEqual([]);
  pass(1);
  await settle();
  expect(refused).toEqual(['late']);
  pass(3000);
  await settle();
  expect(refused).toEqual(['late', 'fresh']);
  await expect(counter.visit(() => false, 5000)).rejects.toThrow('spent its wait');
});

it('closes within the wait while Postgres is away', async () => {
  const read = async () => {
    throw new StoreError('refused');
  };
  const { counter, pass } = start({ read });
  const visit = counter.visit();
  visit.catch(() => {});
  await settle();
  let closed = false;
  counter.close().then(() => {
    closed = true;
  });
  for (let i = 0; i < 52; i++) {
    pass(100);
    await settle();
  }
  await expect(visit).rejects.toThrow('in time');
  expect(closed).toBe(true);
});
