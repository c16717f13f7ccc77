/** Copies of this checkout, for tests of `./stack` that change files, and how `./stack` is called in them. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A copy of what git knows, and of .env; removed when the test's scope ends. The name is one that quoting must survive. */
export class Checkout implements AsyncDisposable {
  readonly path: string;
  readonly #parent: string;

  private constructor(parent: string) {
    this.#parent = parent;
    this.path = join(parent, `it's a "checkout"`);
  }

  /** @param paths of the files to copy; without any, all */
  static async copy(...paths: string[]): Promise<Checkout> {
    const copy = new Checkout(await mkdtemp(join(tmpdir(), 'checkout-')));
    const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--', ...paths];
    const { stdout } = await run('git', list, { maxBuffer: 2 ** 24 });
    for (const path of [...stdout.split('\0').filter(Boolean), '.env']) {
      await cp(path, join(copy.path, path)).catch((error) => {
        // No .env where the images are the official ones; and git lists what was deleted.
        if (error.code !== 'ENOENT') throw error;
      });
    }
    return copy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#parent, { recursive: true });
  }
}

export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a command with an open standard input that says nothing, and waits for its end. */
export async function ended(
  command: string,
  args: string[],
  cwd: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Ended> {
  return run(command, args, { cwd, env, timeout: 900_000, maxBuffer: 2 ** 24 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  );
}
