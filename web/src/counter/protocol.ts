/**
 * The protocol by which replicas number visits, as a pure state machine: `next` names the command that a task needs, `apply`
 * takes what became of it. It reads no clock, and knows no promise and no client library, so that test/counter/exploration can walk
 * through every interleaving of it. docs/counter.md shows its states, commands and outcomes as a table.
 *
 * Redis gives out numbers, Postgres makes them durable. An *epoch* in Postgres's row fences Redis, as the fencing token of
 * https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html does.
 *
 * The invariants, each with the predicate that enforces it (postgres-store.ts, redis-store.ts):
 *
 * 1. Fence: Postgres changes the count only in the epoch that the write names. SQL: `WHERE epoch = $1`.
 * 2. Compare and set: whatever changes the sequencer, and each reset, starts a new epoch in the same statement.
 *    SQL: `SET epoch = GREATEST(epoch + 1, now) WHERE epoch = $1`.
 * 3. Within an epoch the count never falls, in whatever order commits arrive. SQL: `GREATEST(visitor_count, $2)`.
 * 4. One life: Redis gives out numbers only while it holds the epoch, a count, and its own replication id, which changes
 *    whenever its data may be old. Lua: `held ~= ARGV[1] .. ' ' .. replid or EXISTS == 0`.
 * 5. One install: only the replica that starts an epoch installs it, once, with the count of the row that started it.
 *    Lua: `held_epoch >= ARGV[1]` drops a second one.
 * 6. A reset happens at most once, and never after one that was sent later. SQL: `resets.id`, `resets.sent_at`.
 * 7. Acknowledge last: a visit gets its number after the commit of that number's own epoch. Here: state `counted`.
 *
 * They keep numbers unique, ordered and durable. One more keeps the counter alive:
 *
 * 8. While Postgres is considered down, a probe runs, whether or not a request waits. task-runner.ts: `#learn`.
 */
import type { Command, End, Event, Knowledge, Step, Task } from './states.ts';
import type { Reset, Row } from './store.ts';

/** How long a replica leaves Redis alone: after a failure here, and after another replica failed over (ms). */
const COOL_DOWN_MS = 1000;
/** The replica that starts an epoch installs it at once: wait so long for that before starting another epoch (ms). */
const INSTALL_MS = 20;
/** A batch fails back at most so often, then it fails over. Once is enough while nothing fails; once more is for replicas that fail
 * back at the same moment. */
export const FAIL_BACKS = 2;

export function initialKnowledge(hasRedis: boolean): Knowledge {
  return { row: undefined, openUntil: hasRedis ? 0 : Infinity, followUntil: 0, downSince: undefined };
}

export const hasEnded = (task: Task | End): task is End => ['counted', 'reset', 'full'].includes(task.at);

export const VISITS: Task = { at: 'numbering', failBacks: 0 };
export const reset = (reset: Reset): Task => ({ at: 'resetting', reset });

const forPostgres = (command: Command) =>
  ['read', 'commit', 'incrementInFallback', 'failOver', 'failBack', 'reset'].includes(command.do);

/**
 * The command that a task needs now.
 * @param n how many visits of the batch still want a number; 0 for a reset
 * @param now in milliseconds, by a clock that never jumps
 */
export function next(task: Task, knowledge: Knowledge, n: number, now: number): Command {
  const command = wanted(task, knowledge, n, now);
  return knowledge.downSince !== undefined && forPostgres(command) ? { do: 'wait' } : command;
}

function wanted(task: Task, knowledge: Knowledge, n: number, now: number): Command {
  switch (task.at) {
    case 'numbering':
      return number(task.failBacks, knowledge, n, now);
    case 'committing':
      return { do: 'commit', epoch: task.epoch, last: task.last };
    case 'pausing':
      return { do: 'pause', ms: INSTALL_MS };
    case 'failing back':
      return { do: 'failBack', epoch: task.epoch };
    case 'failing over':
      return { do: 'failOver', epoch: task.epoch, n };
    case 'installing':
      return { do: 'install', epoch: task.row.epoch, count: task.row.count };
    case 'resetting':
      if (knowledge.row === undefined) return { do: 'read' };
      return { do: 'reset', epoch: knowledge.row.epoch, reset: task.reset };
  }
}

/** Has the sequencer give out numbers, and changes the sequencer if it must. */
function number(
  failBacks: number,
  { row, openUntil, followUntil }: Knowledge,
  n: number,
  now: number,
): Command {
  if (row === undefined) return { do: 'read' };
  const { epoch, sequencer } = row;
  const isOpen = now < openUntil;
  if (sequencer === 'redis') return { do: isOpen ? 'failOver' : 'increment', epoch, n };
  if (isOpen || now < followUntil || failBacks >= FAIL_BACKS) return { do: 'incrementInFallback', epoch, n };
  // Before failing back: does Redis answer?
  return { do: 'ping', epoch };
}

/** What follows from an event: the task's next state, and what the replica knows then. Parameters as for `next`. */
export function apply(task: Task, event: Event, knowledge: Knowledge, now: number): Step {
  if ('failed' in event) return applyFailure(task, event, knowledge, now);
  const stay = { task, knowledge, gap: 0 };
  const forget = { ...knowledge, row: undefined };
  switch (event.do) {
    case 'read': {
      const followUntil = event.answer.sequencer === 'postgres' ? now + COOL_DOWN_MS : knowledge.followUntil;
      return { ...stay, knowledge: { ...knowledge, row: event.answer, followUntil } };
    }
    case 'increment': {
      const { epoch, n, answer: last } = event;
      if (last !== undefined)
        return { ...stay, task: exact({ at: 'committing', failBacks: failBacksOf(task), epoch, n, last }) };
      // Redis is empty, behind, or another server than before. Its installer may be on the way, so look twice.
      if (task.at === 'numbering' && task.lacking === epoch) {
        const at = failBacksOf(task) < FAIL_BACKS ? 'failing back' : 'failing over';
        return { ...stay, task: { at, failBacks: failBacksOf(task), epoch } };
      }
      return { ...stay, task: { at: 'pausing', failBacks: failBacksOf(task), epoch }, knowledge: forget };
    }
    case 'pause':
      return { ...stay, task: again(task) };
    case 'commit':
      if (task.at !== 'committing') return stay;
      if (event.answer)
        return { ...stay, task: { at: 'counted', n: task.n, last: task.last, sequencer: 'redis' } };
      // The fence: these numbers are void.
      return { task: again(task), knowledge: forget, gap: task.n };
    case 'incrementInFallback': {
      const { n, answer: last } = event;
      if (last !== undefined)
        return { ...stay, task: exact({ at: 'counted', n, last, sequencer: 'postgres' }) };
      return { ...stay, task: again(task), knowledge: forget };
    }
    case 'failOver': {
      const { n, answer: row } = event;
      if (!row) return { ...stay, task: again(task), knowledge: forget };
      const counted: End = { at: 'counted', n, last: row.count, sequencer: 'postgres' };
      return { ...stay, task: exact(counted), knowledge: { ...knowledge, row } };
    }
    case 'ping':
      return { ...stay, task: { at: 'failing back', failBacks: failBacksOf(task), epoch: event.epoch } };
    case 'failBack':
      if (!event.answer) return { ...stay, task: again(task), knowledge: forget };
      return started(event.answer, again(task), knowledge, now);
    case 'install':
      return { ...stay, task: task.at === 'installing' ? task.after : task };
    case 'reset':
      if (event.answer === 'moved') return { ...stay, knowledge: forget };
      // The replica that carried it out may have died before the install: run a batch of zero visits, which brings Redis up to date.
      if (event.answer === 'repeated') return { ...stay, task: VISITS, knowledge: forget };
      return started(event.answer, { at: 'reset' }, knowledge, now);
    case 'wait':
      return stay;
  }
}

function applyFailure(
  task: Task,
  event: Command & { failed: 'unsent' | 'unknown' },
  knowledge: Knowledge,
  now: number,
): Step {
  const lost = event.failed === 'unknown' && 'n' in event ? event.n : 0;
  if (!forPostgres(event)) {
    const after = task.at === 'installing' ? task.after : again(task);
    return { task: after, knowledge: { ...knowledge, openUntil: now + COOL_DOWN_MS }, gap: lost };
  }
  // What is known may be why it failed: an epoch that was changed by hand and does not fit any more.
  const down = { ...knowledge, row: undefined, downSince: knowledge.downSince ?? now };
  // A commit may be repeated, and must be, since its numbers are given out. Anything else starts from a fresh row.
  const after = task.at === 'failing back' || task.at === 'failing over' ? again(task) : task;
  return { task: after, knowledge: down, gap: lost };
}

/** An epoch that this task has started: the one moment to install it, unless Redis is left alone. */
function started(row: Row, after: Task | End, knowledge: Knowledge, now: number): Step {
  const task: Task | End = now < knowledge.openUntil ? after : { at: 'installing', row, after };
  return { task, knowledge: { ...knowledge, row }, gap: 0 };
}

const failBacksOf = (task: Task) => ('failBacks' in task ? task.failBacks : 0);

/** The task begins anew with what it knows then. */
function again(task: Task): Task {
  const failBacks = failBacksOf(task) + (task.at === 'failing back' ? 1 : 0);
  return task.at === 'pausing'
    ? { at: 'numbering', failBacks, lacking: task.epoch }
    : { at: 'numbering', failBacks };
}

/** A double holds whole numbers exactly up to 2^53 − 1. Beyond that a number could repeat, so none is given. */
function exact(task: Extract<Task | End, { last: number }>): Task | End {
  return Number.isSafeInteger(task.last) ? task : { at: 'full' };
}

/** Postgres took the probe's write. */
export function revived(knowledge: Knowledge): Knowledge {
  return { ...knowledge, downSince: undefined };
}

/** Is a request worth waiting for? Not once Postgres is down for as long as a request waits. */
export function admits({ downSince }: Knowledge, now: number, waitMs: number): boolean {
  return downSince === undefined || now - downSince < waitMs;
}
