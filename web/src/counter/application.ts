import { type Application, type Given, type Readiness, state } from '../app.ts';
import { reason } from '../reason.ts';
import type { CounterConfig } from './config.ts';
import { Counter } from './counter.ts';
import { counterMetrics } from './metrics.ts';
import { PostgresCounter } from './postgres-store.ts';
import { RedisCounter } from './redis-store.ts';
import { counterRoutes } from './routes.ts';

export { readCounterConfig as readApplicationConfig } from './config.ts';

/** The sample application: numbers visits in Redis, and commits them in Postgres. */
export function createApplication({ config, log, registry }: Given<CounterConfig>): Application {
  const redis = config.redisUrl ? new RedisCounter(config.redisUrl, config.redisTimeoutMs, log) : undefined;
  const postgres = new PostgresCounter(config.postgresUrl, config.postgresTimeoutMs, log);
  const metrics = counterMetrics(registry);
  const { observer } = metrics;
  const counter = new Counter({ redis, postgres, waitMs: config.postgresWaitMs, log, observer });
  metrics.watch(() => counter.state);
  if (!redis) log.warn('REDIS_URL is not set: Postgres is the sequencer');

  async function readiness(): Promise<Readiness> {
    const row = postgres.read();
    const [redisState, postgresRead, sequencer] = await Promise.all([
      redis ? state(redis.ping()) : 'not configured',
      state(row),
      row.then(
        (row) => {
          observer.row(row);
          return row.sequencer;
        },
        () => 'unknown',
      ),
    ]);
    const postgresState = postgresRead === 'up' && counter.isPostgresDown ? 'refuses to count' : postgresRead;
    metrics.stores({ redis: redisState === 'up', postgres: postgresState === 'up' });
    const degraded = redisState !== 'up' || sequencer === 'postgres';
    const status = postgresState !== 'up' ? 'unavailable' : degraded ? 'degraded' : 'ok';
    return { status, redis: redisState, postgres: postgresState, sequencer };
  }

  let unknown: string | undefined;
  /** Why the token is not known is logged once, not for each reset that is refused. */
  function currentToken(): string | undefined {
    try {
      const token = config.resetToken?.();
      unknown = undefined;
      return token;
    } catch (error) {
      const cause = reason(error);
      if (cause !== unknown) log.error({ cause }, 'no reset is possible: the token is not known');
      unknown = cause;
      return undefined;
    }
  }

  return {
    routes: counterRoutes({ counter, log, resetToken: config.resetToken && currentToken }),
    readiness,
    async close() {
      await counter.close();
      redis?.close();
      await postgres.close();
    },
  };
}
