/** A site of its own in a copy of the checkout, and what `./stack` does to it while clients visit. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Checkout, ended } from '../../support/checkout.ts';
import { until } from '../../support/faults.ts';
import { Stack } from '../../support/stack.ts';
import { CHECKOUT, freePort } from '../../support/this-checkout.ts';
import { CLIENTS, settledCount } from '../chaos/chaos.ts';
import { Load } from '../chaos/load.ts';
import { check, type Verdict } from '../checker.ts';

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
      ['--pgroup', String(this.#process.pid), '--full', 'sh ops/|/ops/'],
      '/',
    );
    for (const pid of stdout.trim().split('\n').filter(Boolean)) process.kill(Number(pid), 'SIGKILL');
  }
}

export interface Result extends Verdict {
  name: string;
  seconds: number;
  slowestMs: number;
  errors: string[];
}

export class Site implements AsyncDisposable {
  readonly stack: Stack;
  readonly #checkout: Checkout;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(checkout: Checkout, env: NodeJS.ProcessEnv, stack: Stack) {
    this.#checkout = checkout;
    this.#env = env;
    this.stack = stack;
  }

  static async start(name: string): Promise<Site> {
    const checkout = await Checkout.copy();
    const port = String(await freePort());
    const project = `${name}-${CHECKOUT}`;
    const env = {
      ...process.env,
      COMPOSE_PROJECT_NAME: project,
      HTTP_PORT: port,
      DEPLOY_READY: '8',
    };
    const site = new Site(checkout, env, new Stack(project, port));
    const { code, stderr } = await ended('./stack', ['up'], checkout.path, env);
    if (code !== 0) throw new Error(stderr);
    return site;
  }

  run(task: string, watchS = 8): Task {
    return new Task(this.#checkout.path, { ...this.#env, DEPLOY_WATCH: String(watchS) }, [task]);
  }

  scale(replicas: number): Task {
    return new Task(this.#checkout.path, this.#env, ['scale', String(replicas)]);
  }

  /** Changes a source, or writes another one in its place (`from` is undefined). Returns how to undo it. */
  async edit(file: string, from: string | undefined, to: string): Promise<() => Promise<void>> {
    const path = join(this.#checkout.path, file);
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (from !== undefined && !text?.includes(from)) throw new Error(`${file} has no '${from}'`);
    await writeFile(path, from === undefined ? to : (text?.replace(from, to) ?? to));
    return () => (text === undefined ? rm(path) : writeFile(path, text));
  }

  /** What clients see while something is done. */
  async under(name: string, work: () => Promise<void>): Promise<Result> {
    await until(async () => (await fetch(`${this.stack.address}/resetcounter`)).ok);
    const load = new Load(this.stack.address, CLIENTS);
    // A deploy compares with what was before.
    await until(() => load.sent > 1000);
    const since = performance.now();
    try {
      await work();
    } finally {
      await load.stop();
    }
    const seconds = (performance.now() - since) / 1000;
    const durable = { count: await settledCount(this.stack), surplus: Number.POSITIVE_INFINITY };
    return {
      name,
      ...check(load.operations, durable),
      seconds,
      slowestMs: Math.max(...load.operations.map(({ invoked, completed }) => completed - invoked)),
      errors: load.errors,
    };
  }

  /** The images and the names of the replicas that run. */
  async replicas(): Promise<string[]> {
    return this.stack.containers('web');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.compose('down', '--volumes', '--rmi', 'local', '--remove-orphans');
    await this.#checkout[Symbol.asyncDispose]();
  }
}
