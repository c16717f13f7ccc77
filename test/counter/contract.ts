/**
 * What the protocol relies on of its stores. The models of the simulation and of the exploration run the same suite as Redis, Postgres
 * and PGlite do, so that what is shown with the models holds for these.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PostgresStore, RedisStore, Row } from '../../web/src/counter/store.ts';

export interface RedisUnderTest extends AsyncDisposable {
  store: RedisStore;
  /** Deletes all keys. */
  empty(): Promise<void>;
  evictTheCount(): Promise<void>;
  /** As after a restart from disk, and after a failover: the same keys, another server. */
  changeServers(): Promise<void>;
}

export function redisContract(name: string, start: () => Promise<RedisUnderTest>): void {
  describe(`${name}, as Redis`, () => {
    let redis: RedisUnderTest;
    let store: RedisStore;
    beforeAll(async () => {
      redis = await start();
      store = redis.store;
    });
    afterAll(() => redis[Symbol.asyncDispose]());
    beforeEach(() => redis.empty());

    it('gives out numbers in the epoch that was installed, from the count that was installed', async () => {
      await store.install(7, 100);
      expect(await store.increment(7, 3)).toBe(103);
      expect(await store.increment(7, 1)).toBe(104);
    });

    it('tells how many there are, and adds none, if asked for none', async () => {
      await store.install(7, 100);
      expect(await store.increment(7, 0)).toBe(100);
    });

    it('gives out numbers past 2^31', async () => {
      await store.install(7, 2 ** 31 - 1);
      expect(await store.increment(7, 2)).toBe(2 ** 31 + 1);
    });

    it.each([6, 8, 77])('refuses epoch %i while it holds epoch 7, and changes nothing', async (epoch) => {
      await store.install(7, 100);
      expect(await store.increment(epoch, 1)).toBeUndefined();
      expect(await store.increment(7, 1)).toBe(101);
    });

    it.each([0, 7])('refuses epoch %i while it is empty, and stays empty', async (epoch) => {
      expect(await store.increment(epoch, 1)).toBeUndefined();
      expect(await store.increment(epoch, 1)).toBeUndefined();
    });

    it('refuses the epoch that it holds once the count is missing', async () => {
      await store.install(7, 100);
      await redis.evictTheCount();
      expect(await store.increment(7, 1)).toBeUndefined();
    });

    it.each([5, 7])('drops a late install of epoch %i over epoch 7', async (epoch) => {
      await store.install(7, 100);
      await store.install(epoch, 1);
      expect(await store.increment(7, 1)).toBe(101);
    });

    it('takes an install of a later epoch, whatever its count', async () => {
      await store.install(7, 100);
      await store.install(10, 5);
      expect(await store.increment(7, 1)).toBeUndefined();
      expect(await store.increment(10, 1)).toBe(6);
    });

    it('refuses the epoch of another server whose keys it has, until an epoch is installed', async () => {
      await store.install(7, 100);
      await redis.changeServers();
      expect(await store.increment(7, 1)).toBeUndefined();
      await store.install(7, 50);
      expect(await store.increment(7, 1)).toBe(51);
    });

    it('takes an install of an earlier epoch over one of another server', async () => {
      await store.install(7, 100);
      await redis.changeServers();
      await store.install(6, 5);
      expect(await store.increment(6, 1)).toBe(6);
    });

    it('answers a ping, and changes nothing by it', async () => {
      await store.ping();
      expect(await store.increment(7, 1)).toBeUndefined();
      await store.install(7, 100);
      await store.ping();
      expect(await store.increment(7, 1)).toBe(101);
    });
  });
}

export interface PostgresUnderTest extends AsyncDisposable {
  store: PostgresStore;
  /** The row at 0 in epoch 1, whose sequencer is Redis; no resets. */
  empty(): Promise<void>;
}

/** @param startMs how long a start may take, if that is longer than hooks usually may */
export function postgresContract(
  name: string,
  start: () => Promise<PostgresUnderTest>,
  startMs?: number,
): void {
  describe(`${name}, as Postgres`, () => {
    let postgres: PostgresUnderTest;
    let store: PostgresStore;
    beforeAll(async () => {
      postgres = await start();
      store = postgres.store;
    }, startMs);
    afterAll(() => postgres[Symbol.asyncDispose]());
    beforeEach(() => postgres.empty());

    const EMPTY: Row = { count: 0, epoch: 1, sequencer: 'redis' };
    const LATER = expect.toSatisfy(
      (epoch: number) => epoch > 1 && Number.isSafeInteger(epoch),
      'later than 1',
    );
    const row = (answer: Row | string | undefined): Row => {
      if (typeof answer !== 'object') throw new Error(`a row was expected, and this came: ${answer}`);
      return answer;
    };

    it('raises the count by a commit and never lowers it, in whatever order commits arrive', async () => {
      for (const last of [5, 3, 5]) expect(await store.commit(1, last)).toBe(true);
      expect(await store.read()).toEqual({ ...EMPTY, count: 5 });
    });

    it('adds by an increment, each time that it is repeated', async () => {
      expect(await store.incrementInFallback(1, 2)).toBe(2);
      expect(await store.incrementInFallback(1, 2)).toBe(4);
      expect(await store.read()).toEqual({ ...EMPTY, count: 4 });
    });

    it('starts an epoch by failing over, and adds to the count', async () => {
      await store.commit(1, 10);
      const answer = await store.failOver(1, 3);
      expect(answer).toEqual({ count: 13, epoch: LATER, sequencer: 'postgres' });
      expect(await store.read()).toEqual(answer);
    });

    it('starts an epoch by failing back, and keeps the count', async () => {
      const { epoch } = row(await store.failOver(1, 3));
      const answer = row(await store.failBack(epoch));
      expect(answer).toEqual({ count: 3, epoch: LATER, sequencer: 'redis' });
      expect(answer.epoch).toBeGreaterThan(epoch);
      expect(await store.read()).toEqual(answer);
    });

    it('starts an epoch by a reset, at 0', async () => {
      const { epoch } = row(await store.failOver(1, 3));
      const answer = row(await store.reset(epoch, { id: 'a', sentAt: 1000 }));
      expect(answer).toEqual({ count: 0, epoch: LATER, sequencer: 'redis' });
      expect(answer.epoch).toBeGreaterThan(epoch);
      expect(await store.read()).toEqual(answer);
    });

    it.each([0, 2])('refuses every write of epoch %i while the row has epoch 1', async (epoch) => {
      expect(await store.commit(epoch, 5)).toBe(false);
      expect(await store.incrementInFallback(epoch, 5)).toBeUndefined();
      expect(await store.failOver(epoch, 5)).toBeUndefined();
      expect(await store.failBack(epoch)).toBeUndefined();
      expect(await store.reset(epoch, { id: 'a', sentAt: 1000 })).toBe('moved');
      expect(await store.read()).toEqual(EMPTY);
    });

    it('has one of three win that change the sequencer of the same epoch', async () => {
      const answers = await Promise.all([store.failOver(1, 2), store.failOver(1, 2), store.failBack(1)]);
      expect(answers.filter(Boolean)).toHaveLength(1);
      expect(await store.read()).toEqual(answers.find(Boolean));
    });

    it('resets once under an id, however often and in which epoch it is repeated', async () => {
      const reset = { id: 'a', sentAt: 1000 };
      const answers = await Promise.all([
        store.reset(1, reset),
        store.reset(1, reset),
        store.reset(1, reset),
      ]);
      const { epoch } = row(answers.find((answer) => typeof answer === 'object'));
      // One that waited for another finds that the epoch has moved, and the next time that it is done.
      expect(answers.filter((answer) => answer === 'repeated' || answer === 'moved')).toHaveLength(2);
      await store.commit(epoch, 4);
      expect(await store.reset(1, reset)).toBe('repeated');
      expect(await store.reset(epoch, reset)).toBe('repeated');
      expect((await store.read()).count).toBe(4);
    });

    it('has not noted a reset that it refused', async () => {
      const { epoch } = row(await store.failBack(1));
      const reset = { id: 'late', sentAt: 1000 };
      expect(await store.reset(1, reset)).toBe('moved');
      expect(await store.reset(epoch, reset)).toMatchObject({ count: 0 });
    });

    it('takes a reset for done that the network held back until one was done that was sent later', async () => {
      const { epoch } = row(await store.reset(1, { id: 'later', sentAt: 2000 }));
      await store.commit(epoch, 4);
      expect(await store.reset(epoch, { id: 'earlier', sentAt: 1000 })).toBe('repeated');
      expect((await store.read()).count).toBe(4);
      expect(await store.reset(epoch, { id: 'latest', sentAt: 3000 })).toMatchObject({ count: 0 });
    });

    it('counts to 2^53 and no further', async () => {
      expect(await store.commit(1, 2 ** 53 - 1)).toBe(true);
      expect(await store.incrementInFallback(1, 5)).toBe(2 ** 53);
      expect(row(await store.failOver(1, 5)).count).toBe(2 ** 53);
    });

    it('answers a ping, and changes nothing by it', async () => {
      await store.commit(1, 5);
      await store.ping();
      expect(await store.read()).toEqual({ ...EMPTY, count: 5 });
    });
  });
}
