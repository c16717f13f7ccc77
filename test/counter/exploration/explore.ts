/**
 * Explores every order in which a small world may go on, breadth first, as TLC does for TLA+
 * (https://lamport.azurewebsites.net/tla/tla.html) and Stateright for Rust (https://www.stateright.rs): so a broken promise is found by
 * the fewest actions.
 */
import type { Event } from '../../../web/src/counter/states.ts';
import { SUBJECT, type Subject } from '../models/subject.ts';
import { type Action, actions, costs } from './actions.ts';
import { Canonical } from './canonical.ts';
import { Fingerprints } from './fingerprints.ts';
import { broken } from './invariants.ts';
import { key, share } from './key.ts';
import { Edges, whatNeverRecovers } from './liveness.ts';
import { perform } from './perform.ts';
import { initialWorld, type Size, type World } from './world.ts';

export interface Exploration {
  states: number;
  transitions: number;
  /** How many actions the longest way to a new state has. */
  depth: number;
  /** The world was explored to its end. */
  isComplete: boolean;
  /** Every kind of action that was performed. */
  actions: Set<Action['do']>;
  /** Every step of the protocol that was seen: state, command, outcome, next state. */
  steps: Set<string>;
  counterexample: Counterexample | undefined;
}

export interface Counterexample {
  broken: string[];
  actions: Action[];
}

/**
 * @param most ends the exploration after so many states
 */
export function explore(
  size: Size,
  subject: Subject = SUBJECT,
  most = Number.POSITIVE_INFINITY,
): Exploration {
  const { epochs = Number.POSITIVE_INFINITY } = size;
  const steps = new Set<string>();
  const recorded = recording(subject, steps);
  const canonical = new Canonical();
  const numberOf = (world: World): number => {
    share(world, canonical);
    return fingerprints.number(key(world, canonical));
  };
  const fingerprints = new Fingerprints();
  /** Of each state: the one it came from first, and by which of that one's actions. */
  const origins: { from: number; action: number }[] = [{ from: -1, action: -1 }];
  const free = new Edges();
  const performed = new Set<Action['do']>();
  let transitions = 0;
  let depth = 0;

  const first = initialWorld(size);
  numberOf(first);
  const counterexample = (id: number, broken: string[]): Counterexample => {
    const path: number[] = [];
    for (let at = id; at > 0; at = origins[at]?.from ?? 0) path.unshift(origins[at]?.action ?? 0);
    return { broken, actions: replay(size, subject, path) };
  };
  const result = (isComplete: boolean, found?: Counterexample): Exploration => ({
    states: fingerprints.size,
    transitions,
    depth,
    isComplete,
    actions: performed,
    steps,
    counterexample: found,
  });

  let frontier = [{ world: first, id: 0 }];
  while (frontier.length > 0 && fingerprints.size < most) {
    const next: typeof frontier = [];
    for (const { world, id } of frontier) {
      const possible = actions(world, recorded);
      const never = whatNeverRecovers(world, possible, recorded);
      if (never) return result(false, counterexample(id, [never]));
      for (const [index, action] of possible.entries()) {
        transitions++;
        performed.add(action.do);
        const after = clone(world);
        perform(after, action, recorded);
        const known = fingerprints.size;
        const number = numberOf(after);
        if (!costs(action)) free.add(id, number);
        if (number < known) continue;
        origins.push({ from: id, action: index });
        const wrong = broken(after);
        if (wrong.length > 0) return result(false, counterexample(number, wrong));
        if (after.tables.visitors.epoch <= epochs) next.push({ world: after, id: number });
      }
    }
    frontier = next;
    if (next.length > 0) depth++;
  }
  const isComplete = frontier.length === 0;
  const inCycle = isComplete ? free.cycle(fingerprints.size) : undefined;
  if (inCycle !== undefined)
    return result(false, counterexample(inCycle, ['it may go on for ever without a fault']));
  return result(isComplete);
}

/** The actions of a path, each given by its place among those that were possible. */
function replay(size: Size, subject: Subject, path: number[]): Action[] {
  const world = initialWorld(size);
  return path.map((index) => {
    const action = actions(world, subject)[index];
    if (!action) throw new Error('the path does not replay: an action is not deterministic');
    perform(world, action, subject);
    return action;
  });
}

/** What `perform` changes in place is copied; tasks, commands, events and knowledge never change. */
export function clone(world: World): World {
  const { tables } = world;
  return {
    ...world,
    tables: { visitors: { ...tables.visitors }, resets: tables.resets.slice() },
    servers: world.servers.map((server) => ({ ...server })),
    replicas: world.replicas.map(({ batch, reset, queue, resets, ...replica }) => ({
      ...replica,
      queue: queue.slice(),
      resets: resets.slice(),
      batch: batch && { ...batch, flight: { ...batch.flight } },
      reset: reset && { ...reset, flight: { ...reset.flight } },
    })),
    operations: world.operations.map((operation) => ({ ...operation })),
    strays: world.strays.slice(),
    held: world.held.slice(),
  };
}

/** The subject, with every step of its protocol noted. */
function recording(subject: Subject, steps: Set<string>): Subject {
  const apply: Subject['protocol']['apply'] = (task, event, knowledge, now) => {
    const step = subject.protocol.apply(task, event, knowledge, now);
    steps.add(`${task.at} | ${event.do} | ${outcome(event)} | ${step.task.at}`);
    return step;
  };
  return { ...subject, protocol: { ...subject.protocol, apply } };
}

export function outcome(event: Event): string {
  if ('failed' in event) return 'failed';
  const { answer } = event;
  if (answer === undefined || answer === false || answer === 'moved') return 'refused';
  return event.do === 'reset' && answer === 'repeated' ? 'repeated' : 'done';
}
