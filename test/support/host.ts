/**
 * A host of a test's own, with a Docker engine that the test may kill: the machine's engine goes on. It is a set of namespaces
 * for processes, mounts and the network. Needs root on Linux, dockerd and iproute2.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { until } from './faults.ts';
import type { Port } from './switch.ts';

const run = promisify(execFile);

export class Host implements AsyncDisposable {
  /** DOCKER_HOST for its engine. */
  readonly engine: string;
  readonly port: Port;
  readonly #disk: string;
  #init: ChildProcess | undefined;
  #dockerd: ChildProcess | undefined;

  private constructor(name: string, port: Port) {
    this.port = port;
    // On a disk, since images take 700 MB and /tmp may be memory. A short path, since sockets have names of 107 bytes at most.
    this.#disk = `/var/tmp/${name}`;
    this.engine = `unix://${this.#disk}/docker.sock`;
  }

  /** @param name tells its folder on the disk from others */
  static async boot(name: string, port: Port): Promise<Host> {
    const host = new Host(name, port);
    await host.wipe();
    await host.boot();
    return host;
  }

  /** As a visitor from outside sees it: Docker's rules, and not its proxy for localhost, lead to the stack. */
  get address(): string {
    return `http://${this.port.address}`;
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
    await this.port.plug(Number(init.pid));
  }

  /** SIGKILL to every process at once; what is on the disk stays. */
  async cutPower(): Promise<void> {
    this.#init?.kill('SIGKILL');
    await this.#dockerdEnds();
    await this.port.unplugged();
  }

  /**
   * Starts dockerd, and resolves when it answers.
   * @param settings a file of them; none by default, whatever the machine's engine has
   */
  async startEngine(settings = '/dev/null'): Promise<void> {
    const options = ['--config-file', settings, '--data-root', `${this.#disk}/docker`, '--host', this.engine];
    // Of its log only why it does not start.
    const dockerd = ['dockerd', ...options, '--log-level', 'fatal'];
    this.#dockerd = spawn('nsenter', [...this.#namespaces, ...dockerd], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    await until(() => this.docker('version').then(() => true));
  }

  /** Sends dockerd a signal, and resolves when it is gone. */
  async endEngine(signal: 'KILL' | 'TERM'): Promise<void> {
    await this.#run('sh', '-c', `kill -${signal} "$(cat /run/docker.pid)"`);
    await this.#dockerdEnds();
  }

  /** No packet gets from it to these, or back, and nobody is told. Returns how to undo it. */
  async cutOffFrom(others: Host[]): Promise<() => Promise<void>> {
    const change = async (how: '--insert' | '--delete') => {
      for (const { port } of others) {
        await this.#run('iptables', how, 'INPUT', '--source', port.address, '--jump', 'DROP');
        await this.#run('iptables', how, 'OUTPUT', '--destination', port.address, '--jump', 'DROP');
      }
    };
    await change('--insert');
    return () => change('--delete');
  }

  /** What a command to its engine writes to stdout. */
  async docker(...args: string[]): Promise<string> {
    return (await run('docker', ['--host', this.engine, ...args], { maxBuffer: 64 * 2 ** 20 })).stdout;
  }

  /** Copies images from the machine's engine to its own. */
  async load(images: string[]): Promise<void> {
    await run('sh', ['-c', `docker save "$@" | docker --host ${this.engine} load`, 'sh', ...images]);
  }

  /** Its disk is empty again. It has to be off. */
  async wipe(): Promise<void> {
    await rm(this.#disk, { recursive: true, force: true });
    await mkdir(this.#disk);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cutPower();
    await rm(this.#disk, { recursive: true });
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
