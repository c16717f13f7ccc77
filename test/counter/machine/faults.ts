/** Faults of the machine under a stack, while clients visit from outside: what they saw, checked. */
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../support/faults.ts';
import { settledCount } from '../chaos/chaos.ts';
import { Load } from '../chaos/load.ts';
import { check, type Operation, type Verdict } from '../checker.ts';
import type { Guest } from './guest.ts';

/** An emulated machine answers some tens of visits a second. */
const CLIENTS = 8;
const VISITS = 100;
const LIMIT_MS = 300_000;

export interface Fault {
  name: string;
  /** Clients visit until it ends. */
  cause: (guest: Guest, load: Load) => Promise<void>;
  /** What has to be done by hand. */
  heal?: (guest: Guest) => Promise<void>;
}

export interface Result extends Verdict {
  name: string;
  operations: Operation[];
  /** The longest time without an acknowledged visit, from the fault on. */
  seconds: number;
}

const answered = (load: Load) => load.operations.filter(({ result }) => result !== undefined);

/** Until the engine answers. One that is restarted, systemd starts. */
const engine = "timeout 300 sh -c 'until docker info > /dev/null 2>&1; do sleep 1; done'";

export const REBOOT: Fault = {
  name: 'reboot',
  async cause(guest, load) {
    const before = load.errors.length;
    await guest.agent.start('systemctl reboot');
    // Nothing answers any more.
    await until(() => load.errors.length > before + CLIENTS, LIMIT_MS);
  },
};

export const ENGINE: Fault[] = [
  {
    name: 'systemctl restart docker',
    cause: async ({ agent }) => {
      await agent.run(`systemctl restart docker && ${engine}`);
    },
  },
  {
    name: 'SIGKILL of dockerd',
    cause: async ({ agent }) => {
      await agent.run(`systemctl kill --signal=SIGKILL --kill-whom=main docker && ${engine}`);
    },
  },
];

/** Clients go on in the new time. */
async function moves(guest: Guest, load: Load, by: string): Promise<void> {
  await guest.agent.run(`date --set '${by}'`);
  const before = answered(load).length;
  await until(() => answered(load).length >= before + VISITS, LIMIT_MS);
}

export const CLOCK: Fault[] = [
  { name: 'the clock a month ahead', cause: (guest, load) => moves(guest, load, '+31 days') },
  { name: 'the clock a month back', cause: (guest, load) => moves(guest, load, '-31 days') },
];

export const POWER_FAILURE: Fault = {
  name: 'power failure',
  async cause({ machine }) {
    await sleep(Math.random() * 5000);
    machine.kill();
  },
  heal: ({ machine }) => machine.start(),
};

/** Causes a fault under load, waits until the stack is back by itself, and visits again. */
export async function suffer(guest: Guest, { name, cause, heal }: Fault): Promise<Result> {
  const before = new Load(guest.address, CLIENTS);
  let since: number;
  try {
    await until(() => answered(before).length >= VISITS, LIMIT_MS);
    since = performance.now();
    await cause(guest, before);
  } finally {
    // A machine that is down would only refuse, thousands of times.
    await before.stop();
  }
  await heal?.(guest);
  await guest.ready();
  // Before visits have taken the place of those that may be lost.
  const recovered = { count: await settledCount(guest), surplus: Number.POSITIVE_INFINITY };
  const after = new Load(guest.address, CLIENTS);
  try {
    await until(() => answered(after).length >= VISITS, LIMIT_MS);
  } finally {
    await after.stop();
  }
  const operations = [...before.operations, ...after.operations];
  const durable = { count: await settledCount(guest), surplus: Number.POSITIVE_INFINITY };
  const lost = check(before.operations, recovered).lost + check(after.operations, durable).lost;
  return { name, ...check(operations, durable), lost, operations, seconds: silence(operations, since) };
}

/** The longest time without an acknowledged visit (seconds), from this moment on. */
function silence(operations: Operation[], since: number): number {
  const times = operations
    .filter(({ result, completed }) => result !== undefined && completed > since)
    .map(({ completed }) => completed)
    .toSorted((a, b) => a - b);
  return times.reduce((most, time, index) => Math.max(most, time - (times[index - 1] ?? since)), 0) / 1000;
}
