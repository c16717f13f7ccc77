/**
 * Runs commands in a virtual machine, through its guest agent and a socket that qemu makes. No network is needed, and no key:
 * https://qemu-project.gitlab.io/qemu/interop/qemu-ga-ref.html
 */
import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

interface Reply {
  return?: unknown;
  error?: { desc: string };
}

/** The agent itself answers at once; an emulated machine that boots keeps it waiting. */
const ANSWER_MS = 60_000;

const base64 = (text: string) => Buffer.from(text).toString('base64');
const plain = (data = '') => Buffer.from(data, 'base64').toString().trim();

export class Agent {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** Does the agent answer? @throws if it does not */
  async ping(): Promise<boolean> {
    await this.#ask('guest-ping', {}, 5000);
    return true;
  }

  /** Starts a script without waiting for its end: its process id. */
  async start(script: string, input = ''): Promise<number> {
    const { pid } = await this.#ask<{ pid: number }>('guest-exec', {
      path: '/bin/sh',
      arg: ['-c', script],
      'input-data': base64(input),
      'capture-output': true,
    });
    return pid;
  }

  /** Runs a script to its end: what it wrote to stdout. @throws unless it ends with 0 */
  async run(script: string, input = '', limitMs = 600_000): Promise<string> {
    const ends = performance.now() + limitMs;
    const pid = await this.start(script, input);
    while (performance.now() < ends) {
      const status = await this.#ask<{
        exited: boolean;
        exitcode?: number;
        'out-data'?: string;
        'err-data'?: string;
      }>('guest-exec-status', { pid });
      if (status.exited && status.exitcode === 0) return plain(status['out-data']);
      if (status.exited)
        throw new Error(
          `in the machine \`${script}\` ended with ${status.exitcode}: ${plain(status['err-data'])}`,
        );
      await sleep(500);
    }
    throw new Error(`in the machine \`${script}\` did not end within ${limitMs / 1000} s`);
  }

  async #ask<T>(execute: string, parameters: object, limitMs = ANSWER_MS): Promise<T> {
    const socket = connect(this.#socket).setEncoding('utf8');
    socket.setTimeout(limitMs, () =>
      socket.destroy(new Error(`the machine's agent did not answer ${execute} within ${limitMs / 1000} s`)),
    );
    const send = (command: string, values: object) =>
      socket.write(`${JSON.stringify({ execute: command, arguments: values })}\n`);
    // An answer to a question that was given up may still come first.
    const id = randomInt(2 ** 30);
    send('guest-sync', { id });
    let synchronous = false;
    let rest = '';
    for await (const text of socket) {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines.filter(Boolean)) {
        const reply: Reply = JSON.parse(line);
        if (synchronous && reply.error)
          throw new Error(`the machine's agent refuses ${execute}: ${reply.error.desc}`);
        if (synchronous) return reply.return as T;
        synchronous = reply.return === id;
        if (synchronous) send(execute, parameters);
      }
    }
    throw new Error(`qemu ended before the machine's agent answered ${execute}`);
  }
}
