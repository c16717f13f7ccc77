/** What visitors of three nodes see while something happens to them, and whether that is as promised. */
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../support/faults.ts';
import type { Host } from '../../support/host.ts';
import type { Nodes } from '../../support/nodes.ts';
import { settledCount } from '../chaos/chaos.ts';
import { Load } from '../chaos/load.ts';
import { check, slowest, type Verdict } from '../checker.ts';

/** At each node. */
const CLIENTS = 6;
/** What docs/swarm.md promises: POSTGRES_WAIT_MS and what NGINX takes beside it (ms). */
export const BOUND_MS = 42_000;
/** An answer that takes longer is not normal (ms). */
const NORMAL_MS = 1000;
export interface Fault {
  name: string;
  /** Does it, and undoes it. Returns the nodes whose own visitors may see errors. */
  work: (swarm: Nodes) => Promise<Host[]>;
  /** Two of the three nodes that keep data: it may last longer than visits wait. */
  outlasts?: true;
  /** The checker has to find something: it is not how the stack is deployed. */
  planted?: true;
}

export interface Result extends Verdict {
  name: string;
  /** At the nodes that were not lost. */
  errors: string[];
  slowestMs: number;
  /** From the fault to the last answer that was an error or took more than a second. */
  normalS: number;
  /** From the fault to the first other primary. Undefined: there was no other. */
  primaryS: number | undefined;
}

/** What visitors of all nodes see while a fault happens. */
export async function runFault(swarm: Nodes, fault: Fault): Promise<Result> {
  await swarm.whole();
  await swarm.spread();
  const before = await swarm.primary();
  // A client that never hears from a node gives up, which is no answer later than the bound.
  const loads = swarm.addresses.map((address) => new Load(address, CLIENTS, BOUND_MS + 5000));
  await until(() => loads.every((load) => load.sent > 100));
  const since = performance.now();
  let primaryS: number | undefined;
  const watch = new AbortController();
  const watching = (async () => {
    while (!watch.signal.aborted && primaryS === undefined) {
      const primary = await swarm.primary();
      if (primary !== undefined && primary !== before) primaryS = (performance.now() - since) / 1000;
      await sleep(500);
    }
  })();
  let lost: Host[] = [];
  try {
    lost = await fault.work(swarm);
    await swarm.whole();
  } finally {
    watch.abort();
    await Promise.all([watching, ...loads.map((load) => load.stop())]);
  }
  const served = loads.filter((_, index) => !lost.includes(swarm.nodes[index] as Host));
  const operations = served.flatMap((load) => load.operations);
  const abnormal = operations.filter(
    ({ invoked, completed, result }) =>
      completed > since && (result === undefined || completed - invoked > NORMAL_MS),
  );
  return {
    name: fault.name,
    ...check(
      loads.flatMap((load) => load.operations),
      { count: await settledCount(swarm), surplus: Number.POSITIVE_INFINITY },
    ),
    errors: served.flatMap((load) => load.errors),
    slowestMs: slowest(operations),
    normalS: abnormal.reduce((last, { completed }) => Math.max(last, completed - since), 0) / 1000,
    primaryS,
  };
}

/** What is wrong with it; nothing if it is as promised. */
export function blame(fault: Fault, result: Result): string[] {
  const refused = '503 Service Unavailable: try again in a moment';
  const errors = fault.outlasts ? result.errors.filter((error) => error !== refused) : result.errors;
  const found = faults({ ...result, errors });
  if (!fault.planted) return found;
  return result.duplicates + result.lost > 0 ? [] : ['the checker found nothing'];
}

function faults({ duplicates, inversions, lost, underCount, errors, slowestMs }: Result): string[] {
  return [
    ...Object.entries({ duplicates, inversions, lost, underCount })
      .filter(([, n]) => n > 0)
      .map(([name, n]) => `${n} ${name}`),
    ...new Set(errors),
    ...(slowestMs > BOUND_MS ? [`an answer took ${Math.round(slowestMs)} ms`] : []),
  ];
}
