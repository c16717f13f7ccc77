import type { Subject } from '../models/subject.ts';
import { addFaults, FAULTS, type Fault } from './faults.ts';
import { isEarly, wanted } from './replica.ts';
import {
  current,
  isForRedis,
  type Operation,
  type Running,
  type Slot,
  serverOf,
  type World,
} from './world.ts';

/**
 * What may happen next. Time is left out: a deadline, a time-out or the end of a cool-down may come at any moment. A command takes two
 * actions: the store carries it out, and the replica hears of it.
 */
export type Action =
  | { do: 'send'; operation: number }
  | { do: 'send, refused'; operation: number }
  | { do: 'start'; replica: number; slot: Slot }
  | { do: 'carry out'; replica: number; slot: Slot }
  | { do: 'hear'; replica: number; slot: Slot }
  | { do: 'lose'; replica: number; slot: Slot }
  | { do: 'probe'; replica: number }
  | { do: 'close breaker'; replica: number }
  | { do: 'stop following'; replica: number }
  | { do: 'reconnect'; replica: number }
  | { do: 'carry out stray'; stray: number }
  | { do: 'arrive late'; operation: number }
  | { do: Fault; replica: number; slot: Slot; operation: number };

const isFault = new Set<string>(FAULTS);
export const costs = (action: Action): boolean => isFault.has(action.do);

/** What a client does only if it wants to. */
export const isArrival = ({ do: action }: Action): boolean => action === 'send' || action === 'send, refused';
/** What may never come. */
export const isStray = ({ do: action }: Action): boolean =>
  action === 'carry out stray' || action === 'arrive late';

/**
 * What happens at a replica alone, and need not be tried after anything else: that it hears an answer while it has no other task, and that
 * it starts a batch that no other visit can join. Whatever else might come before it may as well come after it, or before the command.
 * Only faults of that replica make a difference. https://en.wikipedia.org/wiki/Partial_order_reduction
 */
function local(world: World): Action[] | undefined {
  for (const [replica, { batch, reset, queue }] of world.replicas.entries()) {
    if (batch && !reset && mayHear(world, batch)) return heard(world, replica, 'batch');
    if (reset && !batch && queue.length === 0 && mayHear(world, reset)) return heard(world, replica, 'reset');
    const mayJoin = ({ kind, home, state }: Operation) =>
      kind === 'visit' && home === replica && state === 'new';
    if (!batch && queue.length > 0 && !world.operations.some(mayJoin))
      return [{ do: 'start', replica, slot: 'batch' }];
  }
  return undefined;
}

/** Its command has an answer, or is a pause that is over. */
function mayHear(world: World, running: Running): boolean {
  if (running.flight.command.do === 'pause') return !isEarly(world, running);
  return running.flight.event !== undefined;
}

function heard(world: World, replica: number, slot: Slot): Action[] {
  const found: Action[] = [{ do: 'hear', replica, slot }];
  const isPause = world.replicas[replica]?.[slot]?.flight.command.do === 'pause';
  if (world.faults > 0 && !isPause) found.push({ do: 'a reply is lost', replica, slot, operation: 0 });
  if (world.faults > 0) found.push({ do: 'a replica dies', replica, slot, operation: 0 });
  return found;
}

/** Everything that may happen next, in an order that is always the same. */
export function actions(world: World, subject: Subject): Action[] {
  const alone = local(world);
  if (alone) return alone;
  const found: Action[] = [];
  const { replicas, operations, faults } = world;
  for (const [replica, { knowledge, batch, reset, queue, resets, history }] of replicas.entries()) {
    for (const [slot, running] of [
      ['batch', batch],
      ['reset', reset],
    ] as const) {
      if (running === undefined) {
        if ((slot === 'batch' ? queue : resets).length > 0) found.push({ do: 'start', replica, slot });
        continue;
      }
      const { flight, task, operations: visits } = running;
      if (mayHear(world, running)) found.push({ do: 'hear', replica, slot });
      else if (flight.command.do === 'wait') {
        const isOver = knowledge.downSince === undefined || wanted(world, slot, task, visits) === undefined;
        if (isOver) found.push({ do: 'hear', replica, slot });
      } else if (flight.command.do !== 'pause') {
        const isGone = isForRedis(flight.command) && !serverOf(world, flight.history);
        found.push({ do: isGone ? 'lose' : 'carry out', replica, slot });
      }
    }
    const probes =
      subject.probesAlways || batch?.flight.command.do === 'wait' || reset?.flight.command.do === 'wait';
    if (knowledge.downSince !== undefined && probes) found.push({ do: 'probe', replica });
    if (knowledge.openUntil > 0) found.push({ do: 'close breaker', replica });
    if (knowledge.followUntil > 0) found.push({ do: 'stop following', replica });
    if (history !== current(world).history) found.push({ do: 'reconnect', replica });
  }
  for (const [stray, { command, history }] of world.strays.entries()) {
    if (!isForRedis(command) || serverOf(world, history)) {
      found.push({ do: 'carry out stray', stray });
    }
  }
  for (const operation of world.held) found.push({ do: 'arrive late', operation });
  const homes = new Set<string>();
  for (const [operation, { kind, home, state }] of operations.entries()) {
    // Of those that are alike the first one goes first.
    if (state !== 'new' || homes.has(`${kind}${home}`)) continue;
    homes.add(`${kind}${home}`);
    found.push({ do: 'send', operation });
    if (replicas[home]?.knowledge.downSince !== undefined) found.push({ do: 'send, refused', operation });
  }
  if (faults > 0) addFaults(world, found);
  return found;
}
