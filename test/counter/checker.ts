/**
 * Checks the history of a counter, as its clients recorded it, against what the counter promises. Knows nothing of how
 * the counter works. After Jepsen's checkers for unique ids and counters (https://github.com/jepsen-io/jepsen,
 * jepsen/src/jepsen/checker.clj), made for a counter that is reset: O(n log n) for n operations.
 *
 * A reset takes effect at one moment between its invocation and its answer. If it failed, it takes effect at any moment
 * from its invocation to the answer of a reset that was sent after it had failed, or never. The *era* of a visit is the number of resets before it: known where no reset is under way with
 * it, else within bounds. A history is blamed only if no choice within these bounds explains it.
 */

export interface Operation {
  kind: 'visit' | 'reset';
  /** When it was sent, and when its answer came. Any clock, as long as it is one. */
  invoked: number;
  completed: number;
  /** A visit's number, or true for a reset that was confirmed. Undefined: it failed, or its answer never came. */
  result: number | true | undefined;
}

export interface Verdict {
  visits: number;
  acknowledged: number;
  failed: number;
  /** Visits whose number another visit of the same era has. */
  duplicates: number;
  /** Visits that were sent after the answer to one with a larger number, in the same era. */
  inversions: number;
  /** Acknowledged visits of the last era whose number is above the durable count. */
  lost: number;
  /** By how much the durable count is above all visits of the last era and `surplus`. */
  overCount: number;
  /** By how much the durable count is below the acknowledged visits of the last era. */
  underCount: number;
}

/** Counts of the last era that no client's failed visit accounts for. */
export interface Durable {
  /** What the store says in the end. */
  count: number;
  /** Attempts that failed on the way to an answer: a visit that was sent to three replicas made two of them. */
  surplus: number;
}

interface Visit extends Operation {
  number: number;
  /** The first and the last era that it can be of. */
  from: number;
  to: number;
}

/** How long the slowest answer took, or its failure (ms). Of any number of operations: Math.max takes some 100,000 arguments. */
export function slowest(history: readonly Operation[]): number {
  return history.reduce((most, { invoked, completed }) => Math.max(most, completed - invoked), 0);
}

/** @returns counts of what is wrong: 0 everywhere if the history keeps the promises. */
export function check(history: readonly Operation[], durable: Durable): Verdict {
  const resets = history.filter(({ kind }) => kind === 'reset');
  const invoked = resets.map((reset) => reset.invoked).toSorted(ascending);
  // When each was over at the latest; one that never took effect may as well have done so together with the later one.
  const confirmed = resets.filter(({ result }) => result);
  const over = resets
    .map(({ result, completed }) => {
      const later = confirmed.filter(({ invoked }) => invoked > completed).map((reset) => reset.completed);
      return result ? completed : Math.min(...later);
    })
    .toSorted(ascending);
  const visits = history.filter(({ kind }) => kind === 'visit');
  const acknowledged: Visit[] = visits
    .filter((visit): visit is Operation & { result: number } => typeof visit.result === 'number')
    .map((visit) => ({
      ...visit,
      number: visit.result,
      from: below(over, visit.invoked),
      to: below(invoked, visit.completed),
    }));

  // The durable count is of the last era, which began after the last confirmed reset was sent, if not later.
  const begun = Math.max(...confirmed.map((reset) => reset.invoked));
  const possibly = visits.filter(({ result, completed }) => result === undefined || completed > begun);
  const surely = acknowledged.filter(({ from }) => from === resets.length);
  return {
    visits: visits.length,
    acknowledged: acknowledged.length,
    failed: visits.length - acknowledged.length,
    duplicates: duplicates(acknowledged),
    inversions: inversions(acknowledged),
    lost: surely.filter(({ number }) => number > durable.count).length,
    overCount: Math.max(0, durable.count - possibly.length - durable.surplus),
    underCount: Math.max(0, surely.length - durable.count),
  };
}

export function faultless(verdict: Verdict): boolean {
  const { duplicates, inversions, lost, overCount, underCount } = verdict;
  return duplicates + inversions + lost + overCount + underCount === 0;
}

/** For each number, the visits that have it need an era each: the one whose bounds end first takes the first free. */
function duplicates(visits: Visit[]): number {
  let found = 0;
  for (const same of Map.groupBy(visits, ({ number }) => number).values()) {
    if (same.length === 1) continue;
    const taken = new Set<number>();
    for (const { from, to } of same.toSorted((a, b) => a.to - b.to || a.from - b.from)) {
      let era = from;
      while (era <= to && taken.has(era)) era++;
      if (era > to) found++;
      else taken.add(era);
    }
  }
  return found;
}

/** Among visits that are surely of one era: was a larger number answered before this visit was sent? */
function inversions(visits: Visit[]): number {
  let found = 0;
  const sure = visits.filter(({ from, to }) => from === to);
  for (const era of Map.groupBy(sure, ({ from }) => from).values()) {
    const answered = era.toSorted((a, b) => a.completed - b.completed);
    let next = 0;
    let largest = 0;
    for (const visit of era.toSorted((a, b) => a.invoked - b.invoked)) {
      for (let other = answered[next]; other && other.completed < visit.invoked; other = answered[++next]) {
        largest = Math.max(largest, other.number);
      }
      if (visit.number < largest) found++;
    }
  }
  return found;
}

/** How many of the sorted values are below this one. */
function below(sorted: number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function ascending(a: number, b: number): number {
  return a - b;
}
