/**
 * Docker's health check: the image holds no shell and no curl. `node healthcheck.cjs [PATH]` asks the application for
 * /healthz, or PATH, writes the answer and exits with 0 if its status is 200.
 */
import { readPort, Settings } from './config.ts';

async function main(): Promise<void> {
  const path = process.argv[2] ?? '/healthz';
  const response = await fetch(`http://127.0.0.1:${readPort(new Settings(process.env))}${path}`, {
    signal: AbortSignal.timeout(2000),
  });
  console.log(await response.text());
  process.exitCode = response.ok ? 0 : 1;
}

main();
