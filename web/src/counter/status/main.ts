/** The process behind the status page: compose/observability.yml starts it from web's image. */
import { pino } from 'pino';
import { createApp } from '../../app.ts';
import { readPort, Settings } from '../../config.ts';
import { createRegistry } from '../../metrics.ts';
import { reason } from '../../reason.ts';
import { serve } from '../../server.ts';
import { start } from '../../start.ts';
import { readCounterConfig } from '../config.ts';
import { createStatus } from './application.ts';

function main(): void {
  const settings = new Settings(process.env);
  const port = readPort(settings);
  const wanted = settings.integer('WEB_REPLICAS', 3, 1, 9);
  const trustProxyHops = settings.integer('TRUST_PROXY_HOPS', 0, 0, 9);
  const certificates = (settings.text('CERTIFICATES') ?? '').split(/[\s,]+/).filter(Boolean);
  const { resetToken } = readCounterConfig(settings);
  settings.check();

  const log = pino({ base: null });
  const token =
    resetToken &&
    (() => {
      try {
        return resetToken();
      } catch (error) {
        log.error({ cause: reason(error) }, 'the page cannot be shown: the token is not known');
        return undefined;
      }
    });
  serve({ port, shutdownGraceMs: 2000 }, log, () => {
    const registry = createRegistry();
    const application = createStatus({ wanted, certificates, token }, registry, log);
    const handle = createApp({ application, log, trustProxyHops, registry });
    return { handle, close: () => application.close() };
  });
}

start(main);
