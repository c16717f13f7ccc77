/** A virtual machine of qemu with one disk, in a directory of its own. Whatever the guest has not flushed is lost with the process. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../../support/faults.ts';
import { ROOT } from '../../support/this-checkout.ts';
import { Agent } from './agent.ts';

export const CACHE = join(ROOT, '.cache', 'machine');

/** One thread: with more of them, an emulated kernel crashes now and then. */
const EMULATED = 'tcg,thread=single';
/** One that has not booted by then hangs. */
const KVM_BOOT_MS = 60_000;
/** An emulated one takes 70 to 100 s on two busy cores. */
const BOOT_MS = 900_000;

/** Copies a disk, but not its holes. */
export function copyDisk(from: string, to: string): void {
  execFileSync('cp', ['--sparse=always', '--reflink=auto', from, to], { timeout: 300_000 });
}

/** Where ports of the machine are on the host. */
type Ports = Record<80 | 443, number | string>;

export class Machine {
  readonly agent: Agent;
  /** Where this machine's port 80 is on the host. */
  readonly address: string;
  readonly #directory: string;
  readonly #ports: Ports;
  readonly #extraDisk: string | undefined;
  /** Fastest first. /dev/kvm may be there and guests still hang on it. */
  #accelerators = existsSync('/dev/kvm') ? ['kvm', EMULATED] : [EMULATED];
  #qemu: ChildProcess | undefined;
  /** When the last qemu has let go of the disk and the port. */
  #ended: Promise<unknown> = Promise.resolve();

  /**
   * @param directory with disk.raw; for what qemu makes
   * @param extraDisk a second disk, read-only: /dev/vdb
   */
  constructor(directory: string, ports: Ports, extraDisk?: string) {
    this.#directory = directory;
    this.#ports = ports;
    this.#extraDisk = extraDisk;
    this.address = `http://127.0.0.1:${ports[80]}`;
    this.agent = new Agent(join(directory, 'agent'));
  }

  get disk(): string {
    return join(this.#directory, 'disk.raw');
  }

  /** Boots and waits until commands can be run. */
  async start(): Promise<void> {
    const [accelerator = EMULATED, ...slower] = this.#accelerators;
    const limitMs = slower.length > 0 ? KVM_BOOT_MS : BOOT_MS;
    await this.#ended;
    try {
      await Promise.race([this.#run(accelerator), until(() => this.agent.ping(), limitMs)]);
    } catch (error) {
      this.kill();
      const output = await readFile(join(this.#directory, 'console'), 'utf8').catch(() => '');
      if (slower.length === 0)
        throw new Error(`the machine does not boot. Its console ends with: ${output.slice(-2000)}`, {
          cause: error,
        });
      console.error(`The machine does not boot with ${accelerator}: it is emulated, which is slow.`);
      this.#accelerators = slower;
      await this.start();
    }
  }

  /** The power fails. */
  kill(): void {
    this.#qemu?.kill('SIGKILL');
    this.#qemu = undefined;
  }

  /** Copies the disk while the machine stands still, with everything that the guest has written. */
  async copy(to: string): Promise<void> {
    await this.agent.run('sync');
    this.#qemu?.kill('SIGSTOP');
    try {
      copyDisk(this.disk, to);
    } finally {
      this.#qemu?.kill('SIGCONT');
    }
  }

  /** Starts qemu. @throws when it ends by itself */
  async #run(accelerator: string): Promise<void> {
    const drive = 'format=raw,if=virtio';
    const forward = Object.entries(this.#ports).map(
      ([guest, host]) => `hostfwd=tcp:127.0.0.1:${host}-:${guest}`,
    );
    const qemu = spawn(
      'qemu-system-x86_64',
      [
        ['-nodefaults', '-no-user-config', '-display', 'none', '-m', '3072', '-smp', '1'],
        // 5-level page tables only make an emulated processor slower.
        ['-accel', accelerator, '-cpu', 'max,la57=off'],
        ['-kernel', join(CACHE, 'vmlinuz'), '-initrd', join(CACHE, 'initrd')],
        ['-append', 'root=/dev/vda rw console=ttyS0 quiet panic=-1 audit=0 mitigations=off'],
        ['-drive', `file=${this.disk},${drive},cache=writeback`],
        this.#extraDisk ? ['-drive', `file=${this.#extraDisk},${drive},readonly=on`] : [],
        ['-serial', `file:${join(this.#directory, 'console')}`],
        // The guest reaches nothing; of the host, only this machine's own users reach it.
        ['-nic', `user,model=virtio-net-pci,restrict=on,${forward.join(',')}`],
        ['-device', 'virtio-serial', '-device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0'],
        ['-chardev', `socket,id=agent,path=${join(this.#directory, 'agent')},server=on,wait=off`],
      ].flat(),
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#qemu = qemu;
    let errors = '';
    qemu.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    const ended = once(qemu, 'close');
    this.#ended = ended;
    const [code, signal] = await ended;
    if (this.#qemu === qemu) throw new Error(`qemu ended with ${signal ?? code}: ${errors.trim()}`);
  }
}
