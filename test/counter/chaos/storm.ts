/** A storm on the real stack: random faults that overlap, without a pause, under load with resets; one history for the checker. */
import { setTimeout as sleep } from 'node:timers/promises';
import { crash, cut, cutBetween, type Heal, pause, restart, until } from '../../support/faults.ts';
import { Random } from '../../support/random.ts';
import { docker, inspect, type Stack } from '../../support/stack.ts';
import { check, slowest, type Verdict } from '../checker.ts';
import { CLIENTS, normalAgain, settledCount, surplus } from './chaos.ts';
import { Load } from './load.ts';

export interface StormResult extends Verdict {
  /** How often each fault was caused. */
  faults: Record<string, number>;
  resets: number;
  slowestMs: number;
  /** From the end of the last fault until answers were normal. */
  secondsUntilNormal: number;
  errors: string[];
}

type Fault = (id: string) => Promise<Heal>;

/** Docker starts a container again at once only if it ran for so long (ms). Otherwise it waits twice as long as the time before. */
const STARTED_AT_ONCE_MS = 10_000;

/**
 * Causes faults of web's replicas, Redis and Postgres for some seconds, in a healthy stack, and leaves a healthy one.
 * @param seed decides which faults there are, and how long they last
 */
export async function storm(stack: Stack, seconds: number, seed: number): Promise<StormResult> {
  await using cleanup = new AsyncDisposableStack();
  await until(async () => (await fetch(`${stack.address}/resetcounter`)).ok);
  await until(() => stack.isReady());
  const load = new Load(stack.address, CLIENTS);
  cleanup.defer(() => load.stop());
  const since = new Date().toISOString();
  const ends = performance.now() + seconds * 1000;
  const rages = () => performance.now() < ends;

  const [webs, [redis = ''], [postgres = '']] = await Promise.all([
    stack.containers('web'),
    stack.containers('redis'),
    stack.containers('postgres'),
  ]);
  const common: Record<string, Fault> = { SIGKILL: crash, pause, cut, restart };
  const flush: Fault = async (id) => {
    // While Redis is down it has nothing to lose.
    await docker('exec', id, 'redis-cli', 'FLUSHALL').catch(() => {});
    return async () => {};
  };
  const targets: [service: string, id: string, faults: Record<string, Fault>][] = [
    ['redis', redis, { ...common, flush }],
    ['postgres', postgres, common],
    ...webs.map((id): [string, string, Record<string, Fault>] => [
      'web',
      id,
      {
        ...common,
        'cut off from redis': (web) => cutBetween(web, redis),
        'cut off from postgres': (web) => cutBetween(web, postgres),
      },
    ]),
  ];

  const faults: Record<string, number> = {};
  const rage = async (index: number, [service, id, possible]: (typeof targets)[number]): Promise<void> => {
    const random = new Random(seed + index);
    while (rages()) {
      await sleep(random.between(0, 2000));
      const name = random.pick(Object.keys(possible));
      const lastsMs = random.between(50, 2500);
      const ranMs = Date.now() - Date.parse(await inspect(id, '{{.State.StartedAt}}'));
      if (name === 'SIGKILL' && ranMs < STARTED_AT_ONCE_MS) continue;
      const heal = await possible[name]?.(id);
      faults[`${service}: ${name}`] = (faults[`${service}: ${name}`] ?? 0) + 1;
      await sleep(lastsMs);
      await heal?.();
    }
  };
  const reset = async (): Promise<void> => {
    const random = new Random(seed - 1);
    while (rages()) {
      await sleep(random.between(0, 4000));
      await load.reset();
    }
  };
  await Promise.all([reset(), ...targets.map((target, index) => rage(index, target))]);

  const healed = performance.now();
  await until(() => normalAgain(load, healed) !== undefined);
  await until(() => stack.isReady());
  await load.stop();
  const durable = { count: await settledCount(stack), surplus: await surplus(stack, since) };
  return {
    ...check(load.operations, durable),
    faults,
    resets: load.operations.filter(({ kind }) => kind === 'reset').length,
    slowestMs: slowest(load.operations),
    secondsUntilNormal: ((normalAgain(load, healed) ?? Number.NaN) - healed) / 1000,
    errors: load.errors,
  };
}

/** What became of a storm, in a few lines. */
export function report({ faults, errors, ...result }: StormResult): string {
  const total = Object.values(faults).reduce((sum, times) => sum + times, 0);
  const byName = Object.entries(faults).toSorted(([a], [b]) => a.localeCompare(b));
  const byError = Map.groupBy(errors, (error) => error);
  return [
    `${total} faults: ${byName.map(([name, times]) => `${name} ${times}`).join(', ')}`,
    JSON.stringify(result),
    ...[...byError].map(([error, same]) => `${same.length} times: ${error}`),
  ].join('\n');
}
