/** Docker's health check: the image holds no shell and no curl. Exit code 0 if the event loop turns, else 1. */
import { readConfig } from './config.ts';

const response = await fetch(`http://127.0.0.1:${readConfig(process.env).port}/healthz`, {
  signal: AbortSignal.timeout(2000),
});
process.exitCode = response.ok ? 0 : 1;
