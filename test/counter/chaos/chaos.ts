/** Faults on the real stack under load: what its clients saw, checked. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  crash,
  cut,
  cutBetween,
  failover,
  fillDisk,
  type Heal,
  oldData,
  pause,
  restart,
  together,
  until,
} from '../../support/faults.ts';
import { markdown } from '../../support/markdown.ts';
import { docker, type Stack } from '../../support/stack.ts';
import { check, slowest, type Verdict } from '../checker.ts';
import { Load } from './load.ts';

export const CLIENTS = 16;
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
  /** How long after the end of the fault answers may take to be normal again (ms): 30 s by default. */
  normalWithin?: number;
  /** What clients do besides, while the fault lasts. */
  during?: (load: Load) => Promise<void>;
}

export interface Result extends Verdict {
  name: string;
  slowestMs: number;
  /** From the injection until the fault was over and answers were normal again. */
  secondsUntilNormal: number;
  outageMs: number;
  errors: string[];
}

const one = (service: string, fault: (id: string) => Promise<Heal>) => async (stack: Stack) => {
  const [id = ''] = await stack.containers(service);
  return fault(id);
};
/** What to do, and how long it lasts (ms) if it does not end by itself. */
const FAULTS = {
  SIGKILL: [crash, 0],
  pause: [pause, 2000],
  cut: [cut, 2000],
  restart: [restart, 0],
} as const;

const bounded = () => 1000;
const outage = (ms: number) => ms + 1000;
/** The whole budget of a request, whatever fails: nginx/nginx.conf, Limits. */
const budget = () => 7000;

export const SCENARIOS: Scenario[] = [
  ...['web', 'redis', 'postgres', 'nginx'].flatMap((service) =>
    Object.entries(FAULTS).map(([name, [fault, lasts]]) => ({
      name: `${service}: ${name}`,
      lasts,
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
  ...(['pause', 'cut'] as const).map((name) => ({
    // Nothing can answer: each visitor and each reset is told so within the budget.
    name: `three web: ${name}`,
    lasts: 9000,
    inject: async (stack: Stack) => together(...(await stack.containers('web')).map(FAULTS[name][0])),
    mayFail: true,
    slowest: budget,
    during: (load: Load) => load.reset(),
  })),
  {
    name: 'postgres: pause, longer than visits wait',
    lasts: 9000,
    inject: one('postgres', pause),
    mayFail: true,
    slowest: budget,
    during: (load) => load.reset(),
  },
  {
    name: 'one web: cut off from postgres alone',
    // Longer than a replica waits for Postgres.
    lasts: 7000,
    inject: async (stack) => {
      const [[web = ''], [postgres = '']] = await Promise.all([
        stack.containers('web'),
        stack.containers('postgres'),
      ]);
      return cutBetween(web, postgres);
    },
    mayFail: false,
    slowest: bounded,
  },
  {
    // It takes all three into the fallback, and one of the others fails back each second.
    name: 'one web: cut off from redis alone',
    lasts: 5000,
    inject: async (stack) => {
      const [[web = ''], [redis = '']] = await Promise.all([
        stack.containers('web'),
        stack.containers('redis'),
      ]);
      return cutBetween(web, redis);
    },
    mayFail: false,
    slowest: bounded,
  },
  {
    // Two that refuse at once and one that is silent: visitors wait for the one.
    name: 'two of three web: cut off from postgres, which then pauses',
    lasts: 1500,
    inject: async (stack) => {
      const [[first = '', second = ''], [postgres = '']] = await Promise.all([
        stack.containers('web'),
        stack.containers('postgres'),
      ]);
      const heal = await together(cutBetween(first, postgres), cutBetween(second, postgres));
      // Longer than a replica waits for Postgres.
      await sleep(7000);
      return together(Promise.resolve(heal), pause(postgres));
    },
    mayFail: false,
    slowest: () => 2500,
  },
  {
    // NGINX learns that one is gone while visits that wait for another are being passed from one to the next.
    name: 'one web: stopped, while the others pause',
    lasts: 1500,
    inject: async (stack) => {
      const [first = '', second = '', third = ''] = await stack.containers('web');
      const heal = await together(pause(second), pause(third));
      await docker('stop', first);
      return async () => {
        await heal();
        await docker('start', first);
      };
    },
    mayFail: false,
    slowest: outage,
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

/**
 * Postgres cannot start. It lasts longer than visits wait, so some are refused. Docker's delay between two starts doubles, up to
 * a minute.
 */
const DISK_FULL = { lasts: 6000, mayFail: true, slowest: budget, normalWithin: 75_000 };

/** The faults, by the Compose file that is laid over their stack. */
export const STACKS: [file: string, scenarios: Scenario[]][] = [
  ['test/counter/chaos/redis-with-a-disk.yml', SCENARIOS],
  [
    'test/counter/chaos/small-disk.yml',
    [
      { ...DISK_FULL, name: 'postgres: disk full', inject: fillDisk },
      {
        // Whatever was acknowledged is on that disk, and nowhere else.
        ...DISK_FULL,
        name: 'postgres: disk full, then redis: SIGKILL',
        inject: async (stack) => together(Promise.resolve(await fillDisk(stack)), one('redis', crash)(stack)),
      },
    ],
  ],
];

/**
 * Which promises a result breaks.
 * @param slackMs how much slower than promised an answer may be, where the machine may stall for a moment
 */
export function blame(scenario: Scenario, result: Result, slackMs = 0): string[] {
  const { duplicates, inversions, lost, overCount, underCount, slowestMs, outageMs } = result;
  const wrong = Object.entries({ duplicates, inversions, lost, overCount, underCount })
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${what}: ${count}`);
  if (!scenario.mayFail && result.failed > 0)
    wrong.push(`${result.failed} errors: ${[...new Set(result.errors)].join(', ')}`);
  const limit = scenario.slowest(outageMs) + slackMs;
  if (slowestMs > limit)
    wrong.push(`slowest answer ${slowestMs.toFixed(0)} ms, allowed ${limit.toFixed(0)} ms`);
  return wrong;
}

/** Runs one scenario on a healthy stack and leaves a healthy one. */
export async function runScenario(stack: Stack, scenario: Scenario): Promise<Result> {
  await using cleanup = new AsyncDisposableStack();
  // A statement that a cut held back reaches Postgres when the kernel sends it again, seconds later, and counts in the history of
  // another scenario. It ends with its session.
  await stack.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'web'");
  // A reset that failed in the scenario before may take effect until a later one is confirmed.
  await until(async () => (await fetch(`${stack.address}/resetcounter`)).ok);
  const load = new Load(stack.address, CLIENTS);
  cleanup.defer(() => load.stop());
  // In the middle of the first visits, so that resets under traffic are part of every history.
  await sleep(300);
  await load.reset();
  await sleep(700);
  await until(() => stack.isReady());

  const since = new Date().toISOString();
  const injected = performance.now();
  const heal = await scenario.inject(stack);
  await Promise.all([sleep(scenario.lasts), scenario.during?.(load)]);
  await heal();
  const healed = performance.now();
  await until(() => normalAgain(load, healed) !== undefined, scenario.normalWithin);
  await until(() => stack.isReady());
  await load.stop();

  const after = load.operations.filter(({ completed }) => completed > injected);
  const count = await settledCount(stack);
  const durable = { count, surplus: await surplus(stack, since) };
  return {
    name: scenario.name,
    ...check(load.operations, durable),
    slowestMs: slowest(after),
    secondsUntilNormal: ((normalAgain(load, healed) ?? Number.NaN) - injected) / 1000,
    outageMs: healed - injected,
    errors: load.errors,
  };
}

/**
 * Attempts that failed on the way, as the logs tell: NGINX names every replica that it tried for a visit, and web
 * says which numbers may never be shown.
 */
export async function surplus(stack: Stack, since: string): Promise<number> {
  const lines = (
    await stack.compose('logs', '--no-log-prefix', '--no-color', '--since', since, 'nginx', 'web')
  ).split('\n');
  let attempts = 0;
  for (const line of lines.filter((line) => line.startsWith('{'))) {
    const { uri, upstream, gap } = JSON.parse(line) as { uri?: string; upstream?: string; gap?: number };
    if (uri === '/') attempts += (upstream ?? '').split(/, | : /).length - 1;
    attempts += gap ?? 0;
  }
  return attempts;
}

/** The durable count, once it has stood still for longer than an attempt that NGINX gave up may still take to count. */
export async function settledCount(stack: Pick<Stack, 'sql'>): Promise<number> {
  for (let before = Number.NaN; ; ) {
    const count = Number(await stack.sql('SELECT visitor_count FROM visitors'));
    if (count === before) return count;
    before = count;
    await sleep(1500);
  }
}

/** When the last answer came that was not normal, before the first hundred in a row that were; if none was, `since`. */
export function normalAgain(load: Load, since: number): number | undefined {
  const answers = load.operations
    .filter(({ completed }) => completed > since && completed < Number.POSITIVE_INFINITY)
    .toSorted((a, b) => a.completed - b.completed);
  let at = since;
  let inARow = 0;
  for (const { invoked, completed, result } of answers) {
    if (result !== undefined && completed - invoked <= NORMAL_MS) inARow++;
    else {
      inARow = 0;
      at = completed;
    }
    if (inARow === 100) return at;
  }
  return undefined;
}

/** The results as a Markdown table, a line a fault: sums, and the largest of what was measured. */
export function table(results: Result[]): string {
  const lines = [...Map.groupBy(results, ({ name }) => name)].map(([name, same]) => {
    const sum = (of: (result: Result) => number) => same.reduce((total, result) => total + of(result), 0);
    const most = (of: (result: Result) => number) => Math.max(...same.map(of));
    return [
      name,
      same.length,
      sum((r) => r.visits),
      sum((r) => r.acknowledged),
      sum((r) => r.failed),
      sum((r) => r.duplicates),
      sum((r) => r.inversions),
      sum((r) => r.lost),
      sum((r) => r.overCount),
      most((r) => r.slowestMs).toFixed(0),
      most((r) => r.secondsUntilNormal).toFixed(1),
    ];
  });
  const headings = [
    'fault',
    'times',
    'visits sent',
    'acknowledged',
    'errors',
    'duplicates',
    'inversions',
    'lost',
  ].concat(['over-count', 'slowest answer, ms', 'seconds until normal']);
  return markdown(headings, lines);
}
