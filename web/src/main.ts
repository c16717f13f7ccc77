import { createServer } from 'node:http';
import { createHttpTerminator } from 'http-terminator';
import { pino } from 'pino';
import { createApp, type Readiness } from './app.ts';
import { ConfigError, readConfig } from './config.ts';
import { Counter } from './counter.ts';
import { PostgresCounter } from './postgres-store.ts';
import { reason } from './reason.ts';
import { RedisCounter } from './redis-store.ts';

/** The process: read the configuration, connect, listen, drain, exit. */
function main(): void {
  const config = readConfig(process.env);
  const log = pino({ level: config.logLevel, base: null });

  function die(message: string, error: unknown): never {
    log.fatal({ err: error }, message);
    process.exit(1);
  }
  // Whatever it was, nothing is known any more about the state of this process: the next one starts clean.
  process.on('uncaughtException', (error) => die('uncaught exception', error));
  // Node writes warnings to stderr, in lines that are no JSON.
  process.removeAllListeners('warning').on('warning', (warning) => log.warn({ err: warning }, 'warning'));

  const redis = config.redisUrl ? new RedisCounter(config.redisUrl, config.redisTimeoutMs, log) : undefined;
  const postgres = new PostgresCounter(config.postgresUrl, config.postgresTimeoutMs, log);
  const counter = new Counter({ redis, postgres, waitMs: config.postgresWaitMs, log });
  if (!redis) log.warn('REDIS_URL is not set: running without Redis, Postgres counts');

  async function probe(): Promise<Readiness> {
    const [redisState, postgresRead] = await Promise.all([
      redis ? state(redis.ping()) : 'not configured',
      state(postgres.read()),
    ]);
    const { countedBy, postgresAway } = counter.state;
    const postgresState = postgresRead === 'up' && postgresAway ? 'refuses to count' : postgresRead;
    const degraded = redisState !== 'up' || countedBy === 'postgres';
    const status = postgresState !== 'up' ? 'unavailable' : degraded ? 'degraded' : 'ok';
    return { status, redis: redisState, postgres: postgresState, countedBy: countedBy ?? 'nobody yet' };
  }
  // However many ask at a time, the stores are asked once.
  let probing: Promise<Readiness> | undefined;
  function readiness(): Promise<Readiness> {
    probing ??= probe().finally(() => {
      probing = undefined;
    });
    return probing;
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
      if (cause !== unknown) log.error({ cause }, 'nobody may reset: the token is not known');
      unknown = cause;
      return undefined;
    }
  }

  const options = {
    // NGINX keeps idle connections to us for 60 s: close them later than it does, or it may send a request into a
    // connection that we are just closing.
    keepAliveTimeout: 65_000,
    headersTimeout: 66_000,
    // A request without a body has none to wait for.
    optimizeEmptyRequests: true,
    // What NGINX lets pass, 32 kB, and what it adds: 16 kB by default.
    maxHeaderSize: 40_960,
  };
  const { trustProxyHops } = config;
  const resetToken = config.resetToken && currentToken;
  const app = createApp({ counter, readiness, log, resetToken, trustProxyHops });
  const server = createServer(options, app);
  server.once('error', (error) =>
    die(`cannot listen on port ${config.port}: free it, or set PORT to another`, error),
  );
  server.listen(config.port, () => log.info({ address: server.address(), pid: process.pid }, 'listening'));
  const terminator = createHttpTerminator({ server, gracefulTerminationTimeout: config.shutdownGraceMs });

  async function shutdown(signal: NodeJS.Signals): Promise<void> {
    log.info({ signal }, 'shutting down');
    // First of all refuse new connections, so that NGINX asks another replica: http-terminator does it last.
    server.close();
    await terminator.terminate().catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ERR_SERVER_NOT_RUNNING') throw error;
    });
    await counter.close();
    redis?.close();
    await postgres.close();
    log.info('stopped');
  }

  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(1);
      stopping = true;
      shutdown(signal).then(
        () => process.exit(0),
        (error: unknown) => die('shutdown failed', error),
      );
    });
  }
}

async function state(answer: Promise<unknown>): Promise<string> {
  return answer.then(
    () => 'up',
    (error: Error) => error.message,
  );
}

try {
  main();
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  pino({ base: null }).fatal(error.message);
  process.exitCode = 1;
}
