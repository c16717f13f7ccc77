/**
 * The application's first run, at the end of its image's build: it loads whatever it needs, says which settings it lacks, and ends.
 * One that needs no settings serves, until it is told to stop. Anything else fails the build, with what it wrote.
 */
import { spawn } from 'node:child_process';

/** Loading takes well below a second; a busy machine takes longer (ms). */
const LOADED_AFTER_MS = 10_000;
/** For a shutdown, and then it is killed (ms). */
const STOPPED_AFTER_MS = 10_000;

interface Run {
  ended: boolean;
  output: string;
}

function run(file: string): Promise<Run> {
  const { promise, resolve } = Promise.withResolvers<Run>();
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'pipe'] });
  let ended = true;
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const stop = setTimeout(() => {
    ended = false;
    child.kill('SIGTERM');
  }, LOADED_AFTER_MS);
  const kill = setTimeout(() => child.kill('SIGKILL'), LOADED_AFTER_MS + STOPPED_AFTER_MS);
  child.on('close', () => {
    clearTimeout(stop);
    clearTimeout(kill);
    resolve({ ended, output });
  });
  return promise;
}

function fail(what: string, output: string): void {
  console.error(`${what}\n${output.trim()}`);
  process.exitCode = 1;
}

const main = await run('main.cjs');
if (main.ended && !main.output.includes('the configuration has')) {
  fail('web/src/main.ts ended in its first run, without a word about its settings. It wrote:', main.output);
}
// Nothing listens here, so that it has an answer of its own: no connection.
const health = await run('healthcheck.cjs');
if (!health.output.includes('ECONNREFUSED')) {
  fail('web/src/healthcheck.ts did not ask the application in its first run. It wrote:', health.output);
}
