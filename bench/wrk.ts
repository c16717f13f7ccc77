/** The load generator: https://github.com/wg/wrk, in one thread. Each connection asks again once it is answered. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Answered {
  /** Answered as they should be. */
  requests: number;
  seconds: number;
  /** Answers other than 2xx and 3xx, and connections that failed. */
  errors: number;
  /** Latencies (ms). */
  p50: number;
  p99: number;
  p999: number;
  /** Its own processor time (s). */
  cpu: number;
}

/** Loads an address for some seconds. @param options more of wrk's */
export async function wrk(
  url: string,
  connections: number,
  seconds: number,
  options: string[] = [],
): Promise<Answered> {
  const load = ['--threads', '1', '--connections', `${connections}`, '--duration', `${seconds}s`];
  const script = ['--timeout', '10s', '--script', 'bench/wrk.lua'];
  const { stdout } = await run('wrk', [...load, ...options, ...script, url]);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}
