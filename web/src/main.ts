import { pino } from 'pino';
import { createApp } from './app.ts';
import { readConfig, Settings } from './config.ts';
// The one line that names the application: another one is another folder (docs/make-it-yours.md).
import { createApplication, readApplicationConfig } from './counter/application.ts';
import { createRegistry } from './metrics.ts';
import { serve } from './server.ts';
import { start } from './start.ts';

/** The process: reads the configuration, builds the application, serves it. */
function main(): void {
  const settings = new Settings(process.env);
  const config = { ...readConfig(settings), ...readApplicationConfig(settings) };
  settings.check();

  const log = pino({ level: config.logLevel, base: null });
  serve(config, log, (stopping) => {
    const registry = createRegistry();
    const application = createApplication({ config, log, registry, stopping });
    const handle = createApp({ application, log, trustProxyHops: config.trustProxyHops, registry });
    return { handle, close: () => application.close() };
  });
}

start(main);
