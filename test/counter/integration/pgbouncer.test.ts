import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Unavailable } from '../../../web/src/unavailable.ts';
import { type Store, startPgBouncer, startPostgres, startRedis } from '../../support/containers.ts';
import { check, type Operation } from '../checker.ts';
import { Replica } from './replica.ts';

const CLIENTS = 32;

/** With prepared statements, as it has them by default today, and without, as before 1.24. */
describe.each([200, 0])(
  'behind a PgBouncer with a session for each transaction and max_prepared_statements = %i',
  (prepared) => {
    let redis: Store;
    let postgres: Store;
    let pooler: Store;
    let replicas: Replica[];
    /** What each replica logs of its Postgres. */
    let said: string[][];

    beforeEach(async () => {
      [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
      pooler = await startPgBouncer(postgres, prepared);
      said = [[], [], []];
      replicas = said.map((messages) => {
        const log = { warn: (_fields: object, message: string) => messages.push(message) };
        return new Replica(redis, pooler, { postgresTimeoutMs: 750, log });
      });
    });
    afterEach(async () => {
      for (const replica of replicas) await replica[Symbol.asyncDispose]();
      await Promise.all([pooler, redis, postgres].map((one) => one[Symbol.asyncDispose]()));
    });

    /** Visits of many clients, spread over the replicas, until told to stop. */
    class Load implements AsyncDisposable {
      readonly history: Operation[] = [];
      acknowledged = 0;
      readonly #clients: Promise<unknown>;
      #ended = false;

      constructor() {
        this.#clients = Promise.all(
          Array.from({ length: CLIENTS }, async (_, client) => {
            while (!this.#ended) {
              await this.do('visit', client);
              // Who is refused at once leaves the others their turn.
              await setImmediate();
            }
          }),
        );
      }

      async do(kind: Operation['kind'], client: number): Promise<void> {
        const replica = replicas[client % replicas.length];
        const invoked = performance.now();
        const asked =
          kind === 'visit' ? replica?.counter.visit() : replica?.counter.reset(`${invoked}`).then(() => true);
        const result = await asked?.catch((error: unknown) => {
          if (!(error instanceof Unavailable)) throw error;
          return undefined;
        });
        if (result !== undefined) this.acknowledged++;
        this.history.push({
          kind,
          invoked,
          completed: performance.now(),
          result: result as number | true | undefined,
        });
      }

      /** Until so many more are acknowledged. */
      async more(n: number): Promise<void> {
        const enough = this.acknowledged + n;
        await vi.waitFor(() => expect(this.acknowledged).toBeGreaterThan(enough), 30_000);
      }

      async [Symbol.asyncDispose](): Promise<void> {
        this.#ended = true;
        await this.#clients;
      }
    }

    const count = async () => (await replicas[0]?.postgres.read())?.count ?? Number.NaN;

    it('counts exactly, under load, and says once a replica what the pooler does not take', async () => {
      const load = new Load();
      {
        await using _ = load;
        await load.more(2000);
      }
      const numbers = load.history.map(({ result }) => Number(result)).toSorted((x, y) => x - y);
      expect(numbers).toEqual(Array.from(numbers, (_, i) => i + 1));
      expect(await count()).toBe(numbers.length);
      const times = (words: string) =>
        said.map((messages) => messages.filter((message) => message.includes(words)).length);
      expect(times('statement_timeout')).toEqual([1, 1, 1]);
      // A replica that meets only statements of its own has nothing to say.
      expect(Math.max(...times('not prepared'))).toBe(prepared === 0 ? 1 : 0);
    });

    it('keeps the promises while Redis, the pooler and Postgres are killed, and across resets', async () => {
      const load = new Load();
      {
        await using _ = load;
        await load.more(500);
        for (const store of [redis, pooler, postgres]) {
          await store.kill();
          await store.start();
          await load.more(500);
          await load.do('reset', 0);
          await load.more(500);
        }
      }
      expect(check(load.history, { count: await count(), surplus: Number.POSITIVE_INFINITY })).toMatchObject({
        duplicates: 0,
        inversions: 0,
        lost: 0,
        underCount: 0,
      });
    });
  },
);
