/** How hosts of a test's own are connected to the test, and to each other. Needs root on Linux and iproute2. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { until } from './faults.ts';
import { CHECKOUT } from './this-checkout.ts';

const run = promisify(execFile);
const ip = (...args: string[]) => run('ip', args);

// Addresses that no network uses (RFC 2544): of the 16 of each checkout, 8 for each switch. The first is the test's.
const [third = 0, fourth = 0] = Buffer.from(CHECKOUT, 'hex');

/** A switch with a cable to the test, in a network namespace: the rules of the machine's firewall, Docker's own, do not know it. */
export class Switch implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #n: number;

  private constructor(process: ChildProcess, n: number) {
    this.#process = process;
    this.#n = n;
  }

  /** @param n which switch of this checkout, 0 or 1 */
  static async start(n: number): Promise<Switch> {
    // The namespace ends with its process, which ends with its stdin, so with this test.
    const process = spawn('unshare', ['--net', 'sh', '-c', 'echo up; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const itself = new Switch(process, n);
    await once(process.stdout, 'data');
    await itself.inside('ip', 'link', 'add', 'switch', 'type', 'bridge');
    await itself.inside('ip', 'link', 'set', 'switch', 'up');
    await ip('link', 'add', itself.#link, 'type', 'veth', 'peer', 'name', 'test', 'netns', itself.pid);
    await ip('address', 'add', `${itself.address(1)}/29`, 'dev', itself.#link);
    await ip('link', 'set', itself.#link, 'up');
    await itself.connect('test');
    return itself;
  }

  get #link(): string {
    return `link${this.#n}-${CHECKOUT}`;
  }

  /** @param n from 1 to 6 */
  address(n: number): string {
    return `198.18.${third}.${(fourth & ~15) + 8 * this.#n + n}`;
  }

  get pid(): string {
    return String(this.#process.pid);
  }

  /** @param n which host, from 1 to 5 */
  port(n: number): Port {
    return new Port(this, n);
  }

  async connect(interface_: string): Promise<void> {
    await this.inside('ip', 'link', 'set', interface_, 'master', 'switch', 'up');
  }

  /** What a command in its namespace writes to stdout. */
  async inside(...command: string[]): Promise<string> {
    return (await run('nsenter', [`--net=/proc/${this.pid}/ns/net`, ...command])).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    // The kernel removes the cable together with the namespace.
    await until(async () => !(await ip('-brief', 'link')).stdout.includes(this.#link));
  }
}

/** A socket of a switch, for one host. */
export class Port {
  readonly address: string;
  readonly #switch: Switch;
  readonly #name: string;
  /** The same after each boot: others remember it for a while. */
  readonly #hardware: string;

  constructor(its: Switch, n: number) {
    this.#switch = its;
    this.#name = `host${n}`;
    this.#hardware = `02:00:00:00:00:0${n}`;
    this.address = its.address(n + 1);
  }

  /** Connects a network namespace, that of a process. */
  async plug(pid: number): Promise<void> {
    const host = [`--net=/proc/${pid}/ns/net`, 'ip'];
    const uplink = ['name', 'uplink', 'address', this.#hardware, 'netns', String(pid)];
    await this.#switch.inside('ip', 'link', 'add', this.#name, 'type', 'veth', 'peer', ...uplink);
    await run('nsenter', [...host, 'address', 'add', `${this.address}/29`, 'dev', 'uplink']);
    await run('nsenter', [...host, 'link', 'set', 'uplink', 'up']);
    await run('nsenter', [...host, 'link', 'set', 'lo', 'up']);
    await this.#switch.connect(this.#name);
  }

  /** When the kernel has removed the cable, together with the last process at its end. */
  async unplugged(): Promise<void> {
    await until(async () => !(await this.#switch.inside('ip', '-brief', 'link')).includes(`${this.#name}@`));
  }

  /** The switch passes nothing on, and neither end is told. Returns how to undo it. */
  async cut(): Promise<() => Promise<void>> {
    const state = (state: 'disabled' | 'forwarding') =>
      this.#switch.inside(
        'bridge',
        'link',
        'set',
        'dev',
        this.#name,
        'state',
        state === 'disabled' ? '0' : '3',
      );
    await state('disabled');
    return async () => {
      await state('forwarding');
    };
  }
}
