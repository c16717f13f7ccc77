/** A task of `./stack` that a test follows, and may end before its time. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { ended } from './checkout.ts';
import { until } from './faults.ts';

/** A task of ./stack that runs, or has run. */
export class Task {
  readonly #process: ChildProcess;
  readonly #end: Promise<number>;
  output = '';

  constructor(cwd: string, env: NodeJS.ProcessEnv, args: string[]) {
    // A process group of its own, as a terminal gives it: Ctrl-C reaches all of it.
    this.#process = spawn('./stack', args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    this.#end = once(this.#process, 'close').then(([code]) => code ?? -1);
  }

  /** Its exit code; -1 if it was killed. */
  get end(): Promise<number> {
    return this.#end;
  }

  /** When it says this. */
  async says(words: string): Promise<void> {
    await until(() => this.output.includes(words), 120_000);
  }

  /** As Ctrl-C does. */
  interrupt(): void {
    if (this.#process.pid) process.kill(-this.#process.pid, 'SIGINT');
  }

  /** The script alone, so that what it has called goes on. */
  async crash(): Promise<void> {
    const { stdout } = await ended(
      'pgrep',
      ['--pgroup', String(this.#process.pid), '--full', 'sh (ops|swarm)/|/(ops|swarm)/'],
      '/',
    );
    for (const pid of stdout.trim().split('\n').filter(Boolean)) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
  }
}
