/** A site of its own in a copy of the checkout, and what `./stack` does to it while clients visit. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Checkout } from '../../support/checkout.ts';
import { until } from '../../support/faults.ts';
import { docker, Stack } from '../../support/stack.ts';
import { Task } from '../../support/task.ts';
import { CHECKOUT, freePort } from '../../support/this-checkout.ts';
import { CLIENTS, settledCount } from '../chaos/chaos.ts';
import { Load } from '../chaos/load.ts';
import { check, slowest, type Verdict } from '../checker.ts';

const IMAGES = ['NODE_IMAGE', 'NGINX_IMAGE', 'REDIS_IMAGE', 'POSTGRES_IMAGE'];

export interface Result extends Verdict {
  name: string;
  seconds: number;
  slowestMs: number;
  /** From the first error to the last. */
  errorsMs: number;
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

  /** @param settings what .env would say */
  static async start(name: string, settings: NodeJS.ProcessEnv = {}): Promise<Site> {
    const checkout = await Checkout.copy();
    const port = String(await freePort());
    const project = `${name}-${CHECKOUT}`;
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      COMPOSE_PROJECT_NAME: project,
      HTTP_PORT: port,
      DEPLOY_READY: '8',
      ...settings,
    };
    // What ./stack writes into the copy's .env has to count: the images are named there.
    for (const name of IMAGES) delete env[name];
    const files = settings.COMPOSE_FILE?.split(':').slice(1);
    const site = new Site(checkout, env, new Stack(project, port, files));
    await site.does('up');
    return site;
  }

  get path(): string {
    return this.#checkout.path;
  }
  get env(): NodeJS.ProcessEnv {
    return this.#env;
  }
  /** Where visitors find it. */
  get address(): string {
    return this.#env.HTTPS_PORT ? `https://localhost:${this.#env.HTTPS_PORT}` : this.stack.address;
  }

  /** A task of ./stack, as a terminal runs it. */
  run(...args: string[]): Task {
    return new Task(this.#checkout.path, this.#env, args);
  }
  /** The same, with another setting. */
  with(settings: NodeJS.ProcessEnv): Site {
    return new Site(this.#checkout, { ...this.#env, ...settings }, this.stack);
  }

  /** Runs a task to its end: what it said. @throws unless it ends well. */
  async does(...args: string[]): Promise<string> {
    return this.#ends(0, args);
  }
  /** Runs a task that has to fail: what it said. */
  async refuses(...args: string[]): Promise<string> {
    return this.#ends(1, args);
  }
  async #ends(code: number, args: string[]): Promise<string> {
    const task = this.run(...args);
    const found = await task.end;
    if (found !== code)
      throw new Error(`./stack ${args.join(' ')} ended with ${found}:\n${task.output.slice(-3000)}`);
    return task.output;
  }

  /** Visits once: the number. */
  async visit(): Promise<number> {
    const page = await (await fetch(this.address)).text();
    return Number(/viewed (\d+)/.exec(page)?.[1] ?? Number.NaN);
  }
  /** What Postgres holds. */
  async count(): Promise<number> {
    return Number(await this.stack.sql('SELECT visitor_count FROM visitors'));
  }
  /** What a script in Postgres's container writes to stdout; $ARCHIVE is the archive of its cluster. */
  async inPostgres(script: string): Promise<string> {
    const before = '. /usr/local/bin/volume.sh; ARCHIVE=$(archive_of "$PGDATA")';
    return this.stack.compose('exec', '-T', 'postgres', 'sh', '-c', `${before}; ${script}`);
  }

  /** Sets a setting in .env. */
  async set(name: string, value: string): Promise<void> {
    const path = join(this.path, '.env');
    const text = await readFile(path, 'utf8').catch(() => '');
    const others = text.split('\n').filter((line) => line !== '' && !line.startsWith(`${name}=`));
    await writeFile(path, [...others, `${name}=${value}`, ''].join('\n'));
  }

  /** When no task holds the lock: one that was killed lets go of it within a second. */
  async unlocked(): Promise<void> {
    const lock = async () =>
      (await docker('ps', '--quiet', '--filter', `name=^${this.stack.project}-lock$`)).stdout;
    await until(async () => (await lock()) === '', 60_000);
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
    await until(async () => (await fetch(`${this.address}/resetcounter`)).ok);
    const load = new Load(this.address, CLIENTS);
    // A deploy compares with what was before.
    await until(() => load.sent > 1000);
    const since = performance.now();
    try {
      await work();
    } finally {
      await load.stop();
    }
    const seconds = (performance.now() - since) / 1000;
    const failed = load.operations.filter(({ result }) => result === undefined);
    const durable = { count: await settledCount(this.stack), surplus: Number.POSITIVE_INFINITY };
    return {
      name,
      ...check(load.operations, durable),
      seconds,
      slowestMs: slowest(load.operations),
      errorsMs: Math.max(0, (failed.at(-1)?.completed ?? 0) - (failed[0]?.invoked ?? 0)),
      errors: load.errors,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stack.compose('down', '--volumes', '--rmi', 'local', '--remove-orphans');
    await this.#checkout[Symbol.asyncDispose]();
  }
}
