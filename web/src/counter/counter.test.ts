import { expect, it } from 'vitest';
import { StoreError } from '../unavailable.ts';
import { Counter } from './counter.ts';
import type { PostgresStore, RedisStore } from './store.ts';

/** Stores that always answer, and a counter on them; time stands still but for `pass`. */
function start(overrides: Partial<PostgresStore> = {}, redisOverrides: Partial<RedisStore> = {}) {
  let count = 0;
  let now = 0;
  let timers: { at: number; callback: () => void }[] = [];
  const redis: RedisStore = {
    increment: async (_epoch, n) => {
      count += n;
      return count;
    },
    install: async () => {},
    ping: async () => {},
    ...redisOverrides,
  };
  const row = { count: 0, epoch: 1, sequencer: 'redis' } as const;
  const postgres: PostgresStore = {
    read: async () => row,
    commit: async () => {
      now += 1;
      return true;
    },
    incrementInFallback: async () => undefined,
    failOver: async () => undefined,
    failBack: async () => undefined,
    reset: async () => row,
    ping: async () => {},
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
  const gaps: number[] = [];
  const info = (fields: object) => {
    if ('gap' in fields) gaps.push(Number(fields.gap));
  };
  const log = { info, warn: () => {} };
  return {
    counter: new Counter({ redis, postgres, waitMs: 5000, log, clock }),
    pass,
    gaps,
  };
}

/** Lets everything run that waits for no timer. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

it('counts again as soon as Postgres can, though the visitor who met the outage has left', async () => {
  const slow = Promise.withResolvers<void>();
  const row = { count: 0, epoch: 1, sequencer: 'redis' } as const;
  let reads = 0;
  const read = async () => {
    reads++;
    if (reads === 1) throw new StoreError('refused');
    return row;
  };
  const { counter, pass } = start({ read, ping: () => slow.promise });
  let left = false;
  const first = counter.visit({ gone: () => left });
  first.catch(() => {});
  await settle();
  pass(100);
  await settle();
  left = true;
  slow.resolve();
  await settle();
  // Longer than a visit waits.
  pass(6000);
  await expect(first).rejects.toThrow();
  expect(await counter.visit()).toBeGreaterThan(0);
  expect(counter.isPostgresDown).toBe(false);
});

it('goes on probing while nobody asks, and while a standby can be read and not written', async () => {
  let writable = false;
  const write = async () => {
    if (!writable) throw new StoreError('read-only');
    return true;
  };
  const { counter, pass } = start({ commit: write, ping: async () => void (await write()) });
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
  const read = async () => ({ count: 0, epoch, sequencer: 'redis' }) as const;
  const commit = async (of: number) => {
    if (of > Number.MAX_SAFE_INTEGER) throw new StoreError('bigint out of range');
    return true;
  };
  const { counter, pass } = start({ read, commit });
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
  const [late, fresh] = [counter.visit({ waitedMs: 4000 }), counter.reset('a', 0, { waitedMs: 1000 })];
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
  await expect(counter.visit({ waitedMs: 5000 })).rejects.toThrow('spent its wait');
});

it('closes within the wait while Postgres is away', async () => {
  const read = async () => {
    throw new StoreError('refused');
  };
  const { counter, pass } = start({ read, ping: read });
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

it('tells the numbers that nobody gets, because their visits were settled or left before the commit', async () => {
  const slow = Promise.withResolvers<boolean>();
  const { counter, pass, gaps } = start({ commit: () => slow.promise });
  let left = false;
  const visits = [counter.visit({ waitedMs: 4000 }), counter.visit({ gone: () => left }), counter.visit()];
  for (const visit of visits) visit.catch(() => {});
  await settle();
  left = true;
  pass(1000);
  slow.resolve(true);
  expect(await visits[2]).toBe(3);
  expect(gaps).toEqual([2]);
});

it('tells the numbers of a batch that nobody waits for any more', async () => {
  const { counter, pass, gaps } = start({
    commit: async () => {
      throw new StoreError('gone');
    },
  });
  const visits = [counter.visit(), counter.visit()];
  for (const visit of visits) visit.catch(() => {});
  await settle();
  for (let i = 0; i < 60; i++) {
    pass(100);
    await settle();
  }
  await expect(visits[0]).rejects.toThrow('in time');
  expect(gaps).toEqual([2]);
});

it('tells a gap for a command that may have been carried out, and none for one that was never sent', async () => {
  for (const sent of [true, false]) {
    const redis = async () => {
      throw new StoreError('away', { sent });
    };
    const failOver = async () => ({ count: 7, epoch: 2, sequencer: 'postgres' }) as const;
    const { counter, gaps } = start({ failOver }, { increment: redis });
    expect(await counter.visit()).toBe(7);
    expect(gaps).toEqual(sent ? [1] : []);
  }
});

it('refuses more pending requests than it may have, until one has its answer', async () => {
  const slow = Promise.withResolvers<boolean>();
  const { counter, pass } = start({ commit: () => slow.promise });
  const visits = Array.from({ length: 4000 }, () => counter.visit());
  await expect(counter.visit()).rejects.toThrow('4000 requests are pending already');
  slow.resolve(true);
  expect(await Promise.all(visits)).toHaveLength(4000);
  await settle();
  pass(1000);
  expect(await counter.visit()).toBe(4001);
});

it('lingers in proportion to the last batch, and to the time that its answers took to write', async () => {
  const { counter, pass } = start({});
  const client = async () => {
    await counter.visit();
    pass(1);
  };
  // A batch of three, whose commit takes 1 ms, and each of its answers 1 ms.
  await Promise.all([client(), client(), client()]);
  await settle();
  let answered = false;
  const next = counter.visit().then(() => {
    answered = true;
  });
  await settle();
  pass(4 * (1 + 3) - 1);
  await settle();
  expect(answered).toBe(false);
  pass(1);
  await next;
});

it('brings Redis up to date when a reset finds itself done: its first replica may have died before the install', async () => {
  const installed: number[] = [];
  const { counter, pass } = start(
    {
      read: async () => ({ count: 0, epoch: 2, sequencer: 'redis' }),
      reset: async () => 'repeated',
      failBack: async () => ({ count: 0, epoch: 3, sequencer: 'redis' }),
    },
    {
      increment: async (epoch) => (installed.includes(epoch) ? 0 : undefined),
      install: async (epoch) => void installed.push(epoch),
    },
  );
  const repeated = counter.reset('repeated');
  await settle();
  pass(20);
  await repeated;
  expect(installed).toEqual([3]);
});
