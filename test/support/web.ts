/** The application as a process of its own, on a free port, ended when the test's scope ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { vi } from 'vitest';
import type { Readiness } from '../../web/src/app.ts';
import { ROOT } from './this-checkout.ts';

export class Web implements AsyncDisposable {
  /** All that it wrote so far. */
  output = '';
  readonly #process: ChildProcess;
  readonly #exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  /** @param env the whole environment of the process. */
  constructor(env: NodeJS.ProcessEnv, script = 'web/src/main.ts') {
    this.#process = spawn(process.execPath, [join(ROOT, script)], {
      env: { PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
    // 'close' comes when both streams have ended too, so that no output is missing.
    this.#exited = once(this.#process, 'close').then(([code, signal]) => ({ code, signal }));
  }

  /** What it logged so far, parsed. */
  get logs(): { msg: string; [field: string]: unknown }[] {
    return this.output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line));
  }

  /** Where it listens, once it does. */
  async address(): Promise<string> {
    return vi.waitFor(() => {
      const listening = this.logs.find(({ msg }) => msg === 'listening');
      if (!listening) throw new Error(`not listening: ${this.output}`);
      return `http://127.0.0.1:${(listening.address as { port: number }).port}`;
    }, 30_000);
  }

  async readiness(): Promise<Readiness> {
    const response = await fetch(`${await this.address()}/readyz`);
    return (await response.json()) as Readiness;
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** How it ended, once it has. */
  exit(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    return this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exited;
  }
}
