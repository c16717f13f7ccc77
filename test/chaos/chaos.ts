/** Faults on the real stack under load: what its clients saw, checked. */
import { setTimeout as sleep } from 'node:timers/promises';
import { check, type Verdict } from '../checker.ts';
import type { Stack } from '../stack/stack.ts';
import { crash, cut, failover, type Heal, oldData, pause, restart, together } from './faults.ts';
import { Load } from './load.ts';

const CLIENTS = 16;
/** An answer that took longer (ms) is not normal. */
const NORMAL_MS = 100;

export interface Scenario {
  name: string;
  /** How long the fault lasts that does not end by itself (ms). */
  lasts: number;
  inject: (stack: Stack) => Promise<Heal>;
  /** May clients see errors? Only where nothing could answer them: NGINX itself is the fault. */
  mayFail: boolean;
  /** The slowest answer allowed, in ms: over the length of the outage where clients have to wait it out. */
  slowest: (outageMs: number) => number;
}

export interface Result extends Verdict {
  name: string;
  slowestMs: number;
  /** From the injection to the last answer that was not normal. */
  secondsUntilNormal: number;
  outageMs: number;
  errors: string[];
}

const one = (service: string, fault: (id: string) => Promise<Heal>) => async (stack: Stack) => {
  const [id = ''] = await stack.containers(service);
  return fault(id);
};
const FAULTS = { SIGKILL: crash, pause, cut, restart };

const bounded = () => 1000;
const outage = (ms: number) => ms + 1000;

export const SCENARIOS: Scenario[] = [
  ...['web', 'redis', 'postgres', 'nginx'].flatMap((service) =>
    Object.entries(FAULTS).map(([name, fault]) => ({
      name: `${service}: ${name}`,
      lasts: 2000,
      inject: one(service, fault),
      mayFail: service === 'nginx',
      slowest:
        service === 'nginx' ? () => Number.POSITIVE_INFINITY : service === 'postgres' ? outage : bounded,
    })),
  ),
  {
    name: 'two of three web: SIGKILL',
    lasts: 0,
    inject: async (stack) => {
      const [first = '', second = ''] = await stack.containers('web');
      return together(crash(first), crash(second));
    },
    mayFail: false,
    slowest: bounded,
  },
  {
    name: 'two of three web: pause',
    lasts: 2000,
    inject: async (stack) => {
      const [first = '', second = ''] = await stack.containers('web');
      return together(pause(first), pause(second));
    },
    mayFail: false,
    slowest: bounded,
  },
  {
    name: 'redis and web: SIGKILL',
    lasts: 0,
    inject: async (stack) => together(one('redis', crash)(stack), one('web', crash)(stack)),
    mayFail: false,
    slowest: bounded,
  },
  {
    name: 'redis and web: pause',
    lasts: 2000,
    inject: async (stack) => together(one('redis', pause)(stack), one('web', pause)(stack)),
    mayFail: false,
    slowest: bounded,
  },
  { name: 'redis: SIGKILL, back with old data', lasts: 0, inject: oldData, mayFail: false, slowest: bounded },
  {
    name: 'redis: failover to a replica that lags',
    lasts: 2000,
    inject: failover,
    mayFail: false,
    slowest: bounded,
  },
  {
    name: 'redis and postgres: SIGKILL',
    lasts: 0,
    inject: async (stack) => together(one('redis', crash)(stack), one('postgres', crash)(stack)),
    mayFail: false,
    slowest: outage,
  },
  {
    name: 'redis and postgres: pause',
    lasts: 2000,
    inject: async (stack) => together(one('redis', pause)(stack), one('postgres', pause)(stack)),
    mayFail: false,
    slowest: outage,
  },
];

/** Runs one scenario on a healthy stack and leaves a healthy one. */
export async function runScenario(stack: Stack, scenario: Scenario): Promise<Result> {
  await using cleanup = new AsyncDisposableStack();
  const load = new Load(stack.address, CLIENTS);
  cleanup.defer(() => load.stop());
  // In the middle of the first visits, so that resets under traffic are part of every history.
  await sleep(300);
  await load.reset();
  await sleep(700);

  const injected = performance.now();
  const heal = await scenario.inject(stack);
  await sleep(scenario.lasts);
  await heal();
  const healed = performance.now();
  await stack.healthy();
  await normal(load, injected);
  await load.stop();

  const after = load.operations.filter(({ completed }) => completed > injected);
  const took = after.map(({ invoked, completed }) => completed - invoked);
  const abnormal = after.filter(
    ({ invoked, completed, result }) => result === undefined || completed - invoked > NORMAL_MS,
  );
  const durable = { count: Number(await stack.sql('SELECT visitor_count FROM visitors')), surplus: 0 };
  return {
    name: scenario.name,
    ...check(load.operations, durable),
    slowestMs: Math.max(...took),
    secondsUntilNormal: Math.max(0, ...abnormal.map(({ completed }) => completed - injected)) / 1000,
    outageMs: healed - injected,
    errors: load.errors,
  };
}

/** Until the last 100 answers since the fault were normal ones. */
async function normal(load: Load, since: number): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const answered = load.operations.filter(
      ({ invoked, completed }) => invoked > since && completed < Number.POSITIVE_INFINITY,
    );
    const last = answered.slice(-100);
    const fine = last.filter(
      ({ invoked, completed, result }) => result !== undefined && completed - invoked <= NORMAL_MS,
    );
    if (last.length === 100 && fine.length === 100) return;
    await sleep(100);
  }
  throw new Error('the stack did not return to normal within 30 s');
}

/** The results as a Markdown table. */
export function table(results: Result[]): string {
  const rows = results.map((r) =>
    [
      r.name,
      r.visits,
      r.acknowledged,
      r.failed,
      r.duplicates,
      r.inversions,
      r.lost,
      r.overCount,
      r.slowestMs.toFixed(0),
      r.secondsUntilNormal.toFixed(1),
    ].join(' | '),
  );
  return [
    '| fault | visits sent | acknowledged | errors | duplicates | inversions | lost | over-count | slowest answer, ms | seconds until normal |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...rows.map((row) => `| ${row} |`),
  ].join('\n');
}
