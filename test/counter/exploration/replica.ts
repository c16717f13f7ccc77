/** What TaskRunner and Counter do with the protocol, one step at a time. */
import { hasEnded, VISITS } from '../../../web/src/counter/protocol.ts';
import type { End, Event, Task } from '../../../web/src/counter/states.ts';
import type { Subject } from '../models/subject.ts';
import { end } from './clients.ts';
import {
  operationOf,
  type Replica,
  type Running,
  replicaOf,
  runningOf,
  type Slot,
  type World,
} from './world.ts';

/** As counter.ts has it: how many visits want their numbers. */
export function wanted(world: World, slot: Slot, task: Task, operations: number[]): number | undefined {
  if (slot === 'reset') return 0;
  const pending = operations.filter((operation) => operationOf(world, operation).state === 'pending').length;
  if (pending === 0) return undefined;
  return task.at === 'committing' ? operations.length : pending;
}

/** Is the epoch that this task pauses for about to be installed? The pause is long enough for that, unless something is slow. */
export function isEarly(world: World, { task }: Running): boolean {
  if (task.at !== 'pausing') return false;
  return world.replicas.some((replica) =>
    [replica.batch, replica.reset].some((other) => {
      if (!other) return false;
      const { command, event } = other.flight;
      if (command.do === 'install') return command.epoch === task.epoch;
      const answer = event && 'answer' in event && event.do !== 'read' ? event.answer : undefined;
      return typeof answer === 'object' && answer.epoch === task.epoch && answer.sequencer === 'redis';
    }),
  );
}

/** As TaskRunner.run() and Counter have it: what a replica does between two commands. */
export function proceed(
  world: World,
  replica: Replica,
  slot: Slot,
  task: Task | End,
  { operations, awaited }: Pick<Running, 'operations' | 'awaited'>,
  { protocol: { next } }: Subject,
): void {
  replica[slot] = undefined;
  if (hasEnded(task)) {
    if (task.at === 'counted' && slot === 'batch') acknowledge(world, operations, task.last);
    if (awaited)
      for (const operation of operations) end(world, operation, task.at === 'full' ? 'failed' : 'done');
    return;
  }
  const n = wanted(world, slot, task, operations);
  if (n === undefined) {
    if (task.at === 'committing') world.gaps += task.n;
    return;
  }
  const command = next(task, replica.knowledge, n, 0);
  const kept =
    slot === 'reset' || task.at === 'committing'
      ? operations
      : operations.filter((operation) => operationOf(world, operation).state === 'pending');
  const flight = { command, event: undefined, history: replica.history };
  replica[slot] = { task, flight, operations: kept, awaited };
}

export function hear(
  world: World,
  where: { replica: number; slot: Slot },
  event: Event,
  subject: Subject,
): void {
  const replica = replicaOf(world, where.replica);
  const running = runningOf(world, where);
  const step = subject.protocol.apply(running.task, event, replica.knowledge, 0);
  replica.knowledge = step.knowledge;
  world.gaps += step.gap;
  const task = step.task === VISITS ? subject.visits : step.task;
  proceed(world, replica, where.slot, task, running, subject);
}

export function failure(
  world: World,
  where: { replica: number; slot: Slot },
  failed: 'unsent' | 'unknown',
): Event {
  return { ...runningOf(world, where).flight.command, failed };
}

function acknowledge(world: World, operations: number[], last: number): void {
  let number = last - operations.length;
  for (const index of operations) {
    number++;
    const operation = operationOf(world, index);
    if (operation.state === 'pending') operation.number = number;
    else world.gaps++;
  }
}
