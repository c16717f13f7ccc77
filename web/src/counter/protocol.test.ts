import { describe, expect, it } from 'vitest';
import { admits, apply, initialKnowledge, next, reset, revived, VISITS } from './protocol.ts';
import type { Command, Knowledge, Task } from './states.ts';

// Every order of a small world is explored in test/counter/exploration. Here: what it leaves out, time and the ends of numbers.

const NOW = 1_000_000;
const redis: Knowledge = { ...initialKnowledge(true), row: { epoch: 1, sequencer: 'redis' } };
const postgres: Knowledge = { ...initialKnowledge(true), row: { epoch: 1, sequencer: 'postgres' } };

describe('a batch of visits', () => {
  it('leaves Redis alone for a second after a command to it failed here', () => {
    const command = { do: 'increment', epoch: 1, n: 3 } as const;
    const { knowledge } = apply(VISITS, { ...command, failed: 'unknown' }, redis, NOW);
    expect(next(VISITS, knowledge, 3, NOW + 999)).toEqual({ do: 'failOver', epoch: 1, n: 3 });
    expect(next(VISITS, knowledge, 3, NOW + 1000)).toEqual(command);
  });

  it('stays with Postgres for a second after another replica failed over, then asks whether Redis answers', () => {
    const row = { count: 7, epoch: 2, sequencer: 'postgres' } as const;
    const { knowledge } = apply(VISITS, { do: 'read', answer: row }, initialKnowledge(true), NOW);
    expect(next(VISITS, knowledge, 3, NOW + 999)).toEqual({ do: 'incrementInFallback', epoch: 2, n: 3 });
    expect(next(VISITS, knowledge, 3, NOW + 1000)).toEqual({ do: 'ping', epoch: 2 });
  });

  it('has Postgres as the sequencer for good where there is no Redis', () => {
    const none = { ...initialKnowledge(false), row: { epoch: 1, sequencer: 'redis' } } as const;
    expect(next(VISITS, none, 3, NOW)).toEqual({ do: 'failOver', epoch: 1, n: 3 });
    const fallback = { ...none, row: { epoch: 2, sequencer: 'postgres' } } as const;
    expect(next(VISITS, fallback, 3, 10 * NOW)).toEqual({ do: 'incrementInFallback', epoch: 2, n: 3 });
  });

  it('waits 20 ms for the installer of an epoch before it starts another', () => {
    const { task } = apply(VISITS, { do: 'increment', epoch: 1, n: 3, answer: undefined }, redis, NOW);
    expect(next(task as Task, redis, 3, NOW)).toEqual({ do: 'pause', ms: 20 });
  });

  it.each([
    { do: 'increment', epoch: 1, n: 1, answer: 2 ** 53 } as const,
    { do: 'incrementInFallback', epoch: 1, n: 1, answer: 2 ** 53 } as const,
    { do: 'failOver', epoch: 1, n: 1, answer: { count: 2 ** 53, epoch: 2, sequencer: 'postgres' } } as const,
  ])('gets no number once numbers are no longer exact: $do', (event) => {
    expect(apply(VISITS, event, redis, NOW).task).toEqual({ at: 'full' });
  });

  it.each([
    ['unknown', 3],
    ['unsent', 0],
  ] as const)('may miss the numbers of a command whose outcome is %s: %i', (failed, gap) => {
    const commands: Command[] = [
      { do: 'increment', epoch: 1, n: 3 },
      { do: 'incrementInFallback', epoch: 1, n: 3 },
      { do: 'failOver', epoch: 1, n: 3 },
    ];
    for (const command of commands) expect(apply(VISITS, { ...command, failed }, redis, NOW).gap).toBe(gap);
  });
});

it('a reset installs nothing while Redis is left alone', () => {
  const row = { count: 0, epoch: 2, sequencer: 'redis' } as const;
  const request = { id: 'a', sentAt: NOW };
  const event = { do: 'reset', epoch: 1, reset: request, answer: row } as const;
  expect(apply(reset(request), event, redis, NOW).task).toMatchObject({ at: 'installing' });
  expect(apply(reset(request), event, { ...redis, openUntil: NOW + 1 }, NOW).task).toEqual({ at: 'reset' });
});

it('considers Postgres down from the first command that fails until a probe succeeds', () => {
  const first = apply(VISITS, { do: 'read', failed: 'unknown' }, initialKnowledge(true), NOW).knowledge;
  const { knowledge } = apply(VISITS, { do: 'read', failed: 'unsent' }, first, NOW + 400);
  expect(next(VISITS, knowledge, 3, NOW + 500)).toEqual({ do: 'wait' });
  expect(admits(knowledge, NOW + 4999, 5000)).toBe(true);
  expect(admits(knowledge, NOW + 5000, 5000)).toBe(false);
  expect(admits(revived(knowledge), NOW + 5000, 5000)).toBe(true);
  expect(next(VISITS, revived(knowledge), 3, NOW + 5000)).toEqual({ do: 'read' });
});

it('Redis is asked while Postgres is down, because a number that it gives out can be committed later', () => {
  expect(next(VISITS, { ...redis, downSince: NOW }, 3, NOW)).toMatchObject({ do: 'increment' });
  expect(next(VISITS, { ...postgres, downSince: NOW }, 3, NOW)).toMatchObject({ do: 'ping' });
});
