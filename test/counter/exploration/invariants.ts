import type { Operation, World } from './world.ts';

/**
 * The promises of docs/counter.md that a world has broken. As checker.ts has them: the *era* of a visit is the number of resets
 * before it, known where no reset is under way with it, else within bounds; no promise is broken that some choice would keep.
 */
export function broken({ operations, tables, gaps }: World): string[] {
  const resets = operations.map(({ kind, state }, index) =>
    kind === 'reset' && state !== 'new' ? 1 << index : 0,
  );
  const sent = resets.reduce((all, bit) => all | bit, 0);
  const last = bits(sent);
  /** A reset that failed is over once one that was sent later, after it had failed, is answered. */
  const over = (answered: number) =>
    operations.filter(({ before, state }, index) => {
      if ((resets[index] ?? 0) & answered) return true;
      return (resets[index] ?? 0) && state === 'failed' && (answered & sent & ~before) !== 0;
    }).length;

  const visits = operations
    .map((operation, index) => ({ ...operation, bit: 1 << index }))
    .filter(({ kind, state }) => kind === 'visit' && state === 'done')
    .map((visit) => ({ ...visit, from: over(visit.after), to: bits(visit.before & sent) }));
  const { count } = tables.visitors;
  const found: string[] = [];

  for (const { number } of visits) if (number < 1) found.push(`a visit got the number ${number}`);
  for (const [number, same] of Map.groupBy(visits, (visit) => visit.number)) {
    const taken = new Set<number>();
    for (const { from, to } of same.toSorted((a, b) => a.to - b.to || a.from - b.from)) {
      let era = from;
      while (taken.has(era)) era++;
      if (era > to) found.push(`two visits got the number ${number}`);
      taken.add(era);
    }
  }
  for (const visit of visits) {
    const earlier = visits.filter(
      ({ bit, from, to }) => visit.after & bit && from === visit.to && to === visit.from,
    );
    for (const { number } of earlier) {
      if (number > visit.number)
        found.push(`a visit got ${visit.number} after another had been answered with ${number}`);
    }
  }
  const surely = visits.filter(({ from }) => from === last);
  for (const { number } of surely) {
    if (number > count) found.push(`a visit got ${number}, and Postgres holds ${count}`);
  }
  if (surely.length > count)
    found.push(`${surely.length} visits were acknowledged, and Postgres holds ${count}`);
  const confirmed = operations.reduce(
    (all, { state }, index) => (state === 'done' ? all | (resets[index] ?? 0) : all),
    0,
  );
  const possibly = operations.filter(
    ({ kind, state, before }) =>
      kind === 'visit' && state !== 'new' && !(state === 'done' && (confirmed & ~before) !== 0),
  ).length;
  if (count > possibly + gaps)
    found.push(`Postgres holds ${count} for ${possibly} visits and ${gaps} numbers that may be missing`);
  return found;
}

/** Has every operation that was sent its answer, and is nothing under way? */
export const isOpen = ({ state }: Operation): boolean => state === 'pending';

function bits(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}
