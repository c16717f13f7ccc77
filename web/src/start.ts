import { pino } from 'pino';
import { ConfigError } from './config.ts';

/** Runs what a process does. A bad configuration ends it at once, with all its faults in one line of the log. */
export function start(main: () => void): void {
  try {
    main();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    pino({ base: null }).fatal(error.message);
    process.exitCode = 1;
  }
}
