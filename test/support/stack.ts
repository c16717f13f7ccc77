/** A composed stack of a test's own, driven with `docker compose` and reached through NGINX's port on the host. */
import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { CHECKOUT, freePort, ROOT } from './this-checkout.ts';

const run = promisify(execFile);

export async function docker(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return run('docker', args, { maxBuffer: 64 * 2 ** 20 });
}

/** What `docker inspect` says of a container, an image or a network. */
export async function inspect(id: string, format: string): Promise<string> {
  return (await docker('inspect', '--format', format, id)).stdout.trim();
}

/** How a command ended and what it wrote, whether or not it failed. */
export async function attempt(command: string, ...args: string[]): Promise<{ code: number; output: string }> {
  const result = run(command, args, { timeout: 60_000 });
  return result.then(
    ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
    ({ code, stdout, stderr }) => ({ code, output: stdout + stderr }),
  );
}

/**
 * Sends bytes (characters up to U+00FF) as they are, and reads until the other side closes: no client between that would
 * mend them.
 */
export function raw(port: string, request: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let response = '';
  const socket = connect(Number(port), 'localhost', () => socket.write(request, 'latin1'));
  socket.setEncoding('latin1').setTimeout(15_000, () => socket.destroy(new Error(`no answer to ${request}`)));
  socket.on('data', (text: string) => {
    response += text;
  });
  socket.on('error', reject).on('end', () => resolve(response));
  return promise;
}

export class Stack implements AsyncDisposable {
  readonly project: string;
  readonly port: string;
  readonly #files: string[];
  readonly #settings: NodeJS.ProcessEnv;

  /** A stack that is up already. @param settings of .env, beside its port */
  constructor(project: string, port: string, files: string[] = [], settings: NodeJS.ProcessEnv = {}) {
    this.project = project;
    this.port = port;
    this.#files = files;
    this.#settings = settings;
  }

  /**
   * The project's own Compose file under another name, so that a stack in use and its count are left alone.
   * @param files Compose files to lay over it
   */
  static async start(name: string, ...files: string[]): Promise<Stack> {
    return Stack.startWith({}, name, ...files);
  }

  /** The same, with settings that .env might have. */
  static async startWith(settings: NodeJS.ProcessEnv, name: string, ...files: string[]): Promise<Stack> {
    const stack = new Stack(`${name}-${CHECKOUT}`, String(await freePort()), files, settings);
    await stack.remove();
    try {
      await stack.up();
    } catch (error) {
      console.error(await stack.compose('logs', '--no-color'));
      await stack.remove();
      throw error;
    }
    return stack;
  }

  get address(): string {
    return `http://localhost:${this.port}`;
  }

  /** Its own settings, whatever .env says; the images are those of .env. */
  get #env(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      COMPOSE_PROJECT_NAME: this.project,
      COMPOSE_FILE: ['docker-compose.yml', ...this.#files].join(':'),
      HTTP_PORT: this.port,
      WEB_REPLICAS: '3',
      LOG_LEVEL: 'info',
      POSTGRES_WAIT_MS: '5000',
      TRUSTED_PROXIES: '',
      MAX_BODY_SIZE: '',
      NGINX_TMP_SIZE: '',
      NGINX_MEMORY: '',
      RESET_TOKEN: '',
      RESET_TOKEN_FILE: '',
      OBSERVABILITY: '',
      HTTPS_DOMAINS: '',
      HTTPS_CERT_FILE: '',
      ...this.#settings,
    };
  }

  async #run(command: string, args: string[], env: NodeJS.ProcessEnv = {}) {
    return run(command, args, { cwd: ROOT, maxBuffer: 64 * 2 ** 20, env: { ...this.#env, ...env } });
  }

  /** Runs a script of this folder on it. */
  async script(path: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    return (await this.#run(path, args, env)).stdout;
  }

  /** Runs docker compose on it: what that wrote to stdout. */
  async compose(...args: string[]): Promise<string> {
    return (await this.#run('docker', ['compose', ...args])).stdout;
  }

  /** Brings up what is not up, as a user does: builds, starts and waits until it can count. Returns what the user was told. */
  async up(settings: NodeJS.ProcessEnv = {}): Promise<string> {
    return (await this.#run('./stack', ['up'], settings)).stderr;
  }

  /** The ids of a service's containers. */
  async containers(service: string): Promise<string[]> {
    return (await this.compose('ps', '--quiet', service)).split('\n').filter(Boolean);
  }

  /** Does every replica say that all is as it should be? One that is degraded works as well. */
  async isReady(): Promise<boolean> {
    const states = (await this.containers('web')).map(async (id) => {
      const { stdout } = await docker('exec', id, '/usr/local/bin/node', 'healthcheck.cjs', '/readyz');
      return JSON.parse(stdout).status === 'ok';
    });
    return (await Promise.all(states)).every(Boolean);
  }

  /** What a service logged since then, as the objects that its lines are. */
  async logs(service: string, since: string): Promise<Record<string, unknown>[]> {
    const text = await this.compose('logs', '--no-log-prefix', '--no-color', '--since', since, service);
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  /** Of a service's first container on one of the stack's networks, its address there or its gateway's. */
  async on(network: string, service: string, of: 'IPAddress' | 'Gateway' = 'IPAddress'): Promise<string> {
    const [id = ''] = await this.containers(service);
    return inspect(id, `{{(index .NetworkSettings.Networks "${this.project}_${network}").${of}}}`);
  }

  /** What Postgres says on one query, as the superuser, without headings. */
  async sql(query: string): Promise<string> {
    return (await this.compose('exec', '-T', 'postgres', 'psql', '-Atc', query)).trim();
  }

  /** What Postgres says on one query of the application's role, over TCP as web asks; an error in its words. */
  async sqlAsApplication(query: string): Promise<string> {
    const psql = ['psql', '--host=127.0.0.1', '--username', '"$APPLICATION_ROLE"', '-Atc', '"$0"'].join(' ');
    const [id = ''] = await this.containers('postgres');
    return (await attempt('docker', 'exec', id, 'sh', '-c', psql, query)).output.trim();
  }

  /** Starts Postgres alone, which sets its roles right, and waits for it. */
  async startPostgres(): Promise<void> {
    await this.compose('up', '--detach', 'postgres');
    await this.compose('up', '--detach', '--wait', '--no-deps', '--no-recreate', 'postgres');
  }

  /** Migrates a Postgres that is up: what migrate wrote. */
  async migrate(): Promise<string> {
    return this.compose('run', '--rm', '--no-deps', '--no-TTY', 'migrate');
  }

  /** What pg_dump says of the database, but for its data. */
  async schema(): Promise<string> {
    const text = await this.compose('exec', '-T', 'postgres', 'pg_dump', '--schema-only');
    // Its own key, which is new each time.
    return text.replaceAll(/^\\(un)?restrict .*$/gm, '');
  }

  async remove(): Promise<void> {
    await this.compose('down', '--volumes', '--remove-orphans', '--timeout', '20');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }
}
