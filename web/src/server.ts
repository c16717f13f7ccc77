import { createServer, type RequestListener } from 'node:http';
import { Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createHttpTerminator } from 'http-terminator';
import type { Logger } from 'pino';
import type { Config } from './config.ts';

/** How long requests may still come in on connections that stand when the shutdown begins (ms). */
const LAST_REQUESTS_MS = 500;

/** What serve() serves. */
interface Served {
  handle: RequestListener;
  /** Called once the last request has ended. */
  close: () => Promise<void>;
}

/**
 * Serves until SIGTERM or SIGINT. Then the process refuses new connections, lets requests under way end, and exits with 0.
 * A second signal, a failed shutdown, a taken port and an uncaught exception exit with 1.
 * @param build gets a signal that aborts when the shutdown begins
 */
export function serve(
  { port, shutdownGraceMs }: Pick<Config, 'port' | 'shutdownGraceMs'>,
  log: Logger,
  build: (stopping: AbortSignal) => Served,
): void {
  function die(message: string, error: unknown): never {
    log.fatal({ err: error }, message);
    process.exit(1);
  }
  // After an uncaught exception the state of this process is unknown: Docker starts a new one.
  process.on('uncaughtException', (error) => die('uncaught exception', error));
  // Node writes warnings to stderr, in lines that are no JSON.
  process.removeAllListeners('warning').on('warning', (warning) => log.warn({ err: warning }, 'warning'));

  const stopping = new AbortController();
  const { handle, close } = build(stopping.signal);
  const options = {
    // NGINX keeps idle connections to web for 60 s. If web closed them first, NGINX might send a request into a
    // connection that is just being closed.
    keepAliveTimeout: 65_000,
    headersTimeout: 66_000,
    // A request without a body has none to wait for.
    optimizeEmptyRequests: true,
    // What NGINX lets pass, 32 kB, and what it adds: 16 kB by default.
    maxHeaderSize: 40_960,
  };
  const server = createServer(options, handle);
  server.once('error', (error) =>
    die(`cannot listen on port ${port}: free it, or set PORT to another`, error),
  );
  server.listen(port, () => log.info({ address: server.address(), pid: process.pid }, 'listening'));
  const terminator = createHttpTerminator({ server, gracefulTerminationTimeout: shutdownGraceMs });

  async function shutdown(signal: NodeJS.Signals): Promise<void> {
    log.info({ signal }, 'shutting down');
    // First of all refuse new connections, so that NGINX asks another replica: http-terminator does it last. And http's own
    // close() would close idle connections, into which NGINX may be sending a request just now: it may not repeat a POST.
    Server.prototype.close.call(server);
    stopping.abort();
    // Under load NGINX uses each of its connections once more, and finds it closed by the answer.
    server.prependListener('request', (_req, res) => {
      res.shouldKeepAlive = false;
    });
    await sleep(LAST_REQUESTS_MS);
    await terminator.terminate().catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ERR_SERVER_NOT_RUNNING') throw error;
    });
    await close();
    log.info('stopped');
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping.signal.aborted) process.exit(1);
      shutdown(signal).then(
        () => process.exit(0),
        (error: unknown) => die('shutdown failed', error),
      );
    });
  }
}
