/**
 * A host of a test's own, with a Docker engine that the test may kill: the machine's engine goes on. It is a set of namespaces
 * for processes, mounts and the network. Needs root on Linux, dockerd and iproute2.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { until } from '../support/faults.ts';
import { CHECKOUT } from '../support/this-checkout.ts';

const run = promisify(execFile);

// On a disk, since images take 700 MB and /tmp may be memory. A short path, since sockets have names of 107 bytes at most.
const DISK = `/var/tmp/host-${CHECKOUT}`;
const LINK = `host-${CHECKOUT}`;
// Addresses that no network uses (RFC 2544), two for each checkout: the test's and the host's.
const [third = 0, fourth = 0] = Buffer.from(CHECKOUT, 'hex');
const [HERE, THERE] = [1, 2].map((n) => `198.18.${third}.${(fourth & ~3) + n}`);

export class Host implements AsyncDisposable {
  /** As a visitor from outside sees it: Docker's rules, and not its proxy for localhost, lead to the stack. */
  readonly address = `http://${THERE}`;
  /** DOCKER_HOST for its engine. */
  readonly engine = `unix://${DISK}/docker.sock`;
  #init: ChildProcess | undefined;
  #dockerd: ChildProcess | undefined;

  static async boot(): Promise<Host> {
    await rm(DISK, { recursive: true, force: true });
    await mkdir(DISK);
    const host = new Host();
    await host.boot();
    return host;
  }

  async boot(): Promise<void> {
    // Process 1 ends with its stdin, so with this test, and the kernel ends all others with it. It is the shell, which buries
    // orphans, and not cat. /run is the host's own: there dockerd finds neither another engine nor another containerd.
    const script = 'mount -t tmpfs run /run && mkdir /run/lock && echo up && cat; exit';
    const namespaces = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const init = spawn('unshare', [...namespaces, 'sh', '-c', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#init = init;
    await once(init.stdout, 'data');
    const ip = (...args: string[]) => run('ip', args);
    const inside = (...args: string[]) => this.#run('ip', ...args);
    await ip('link', 'add', LINK, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', String(init.pid));
    await ip('address', 'add', `${HERE}/30`, 'dev', LINK);
    await ip('link', 'set', LINK, 'up');
    await inside('address', 'add', `${THERE}/30`, 'dev', 'uplink');
    await inside('link', 'set', 'uplink', 'up');
    await inside('link', 'set', 'lo', 'up');
  }

  /** SIGKILL to every process at once; what is on the disk stays. */
  async cutPower(): Promise<void> {
    this.#init?.kill('SIGKILL');
    await this.#dockerdEnds();
    // The kernel removes it together with the last process.
    await until(async () => (await run('ip', ['-brief', 'link'])).stdout.includes(LINK) === false);
  }

  /**
   * Starts dockerd, and resolves when it answers.
   * @param settings a file of them; none by default, whatever the machine's engine has
   */
  async startEngine(settings = '/dev/null'): Promise<void> {
    const dockerd = [
      'dockerd',
      '--config-file',
      settings,
      '--data-root',
      `${DISK}/docker`,
      '--host',
      this.engine,
    ];
    // Of its log only why it does not start.
    this.#dockerd = spawn('nsenter', [...this.#namespaces, ...dockerd, '--log-level', 'fatal'], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    await until(() => run('docker', ['--host', this.engine, 'version']).then(() => true));
  }

  /** Sends dockerd a signal, and resolves when it is gone. */
  async endEngine(signal: 'KILL' | 'TERM'): Promise<void> {
    await this.#run('sh', '-c', `kill -${signal} "$(cat /run/docker.pid)"`);
    await this.#dockerdEnds();
  }

  /** Copies images from the machine's engine to its own. */
  async load(images: string[]): Promise<void> {
    await run('sh', ['-c', `docker save "$@" | docker --host ${this.engine} load`, 'sh', ...images]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cutPower();
    await rm(DISK, { recursive: true });
  }

  async #dockerdEnds(): Promise<void> {
    if (this.#dockerd && this.#dockerd.exitCode === null && this.#dockerd.signalCode === null) {
      await once(this.#dockerd, 'exit');
    }
  }

  get #namespaces(): string[] {
    const of = `/proc/${this.#init?.pid}/ns`;
    return [`--net=${of}/net`, `--mount=${of}/mnt`, `--pid=${of}/pid_for_children`];
  }

  async #run(...command: string[]): Promise<void> {
    await run('nsenter', [...this.#namespaces, ...command]);
  }
}
