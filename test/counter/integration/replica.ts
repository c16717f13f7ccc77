/** A counter with connections of its own, as each process of web has; closed when the test's scope ends. */
import { pino } from 'pino';
import { Counter } from '../../../web/src/counter/counter.ts';
import { PostgresCounter } from '../../../web/src/counter/postgres-store.ts';
import { RedisCounter } from '../../../web/src/counter/redis-store.ts';
import type { Log } from '../../../web/src/log.ts';
import type { Store } from '../../support/containers.ts';

type Address = Pick<Store, 'url'>;

interface Options {
  waitMs?: number;
  postgresTimeoutMs?: number;
  /** Where its Postgres store logs. */
  log?: Pick<Log, 'warn'>;
}

export class Replica implements AsyncDisposable {
  readonly redis: RedisCounter;
  readonly postgres: PostgresCounter;
  readonly counter: Counter;

  constructor(redis: Address, postgres: Address, options: Options = {}) {
    const { waitMs = 5000, postgresTimeoutMs = 500, log } = options;
    this.redis = new RedisCounter(redis.url, 300);
    this.postgres = new PostgresCounter(postgres.url, postgresTimeoutMs, log);
    const stores = { redis: this.redis, postgres: this.postgres };
    this.counter = new Counter({ ...stores, waitMs, log: pino({ level: 'silent' }) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.counter.close();
    this.redis.close();
    await this.postgres.close();
  }
}
