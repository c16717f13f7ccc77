import type { Subject } from '../models/subject.ts';
import { type Action, actions, costs, isArrival, isStray } from './actions.ts';
import { arrive, send } from './clients.ts';
import { clone } from './explore.ts';
import { perform } from './perform.ts';
import type { Operation, World } from './world.ts';

/**
 * Once faults are over and every store answers, a new visit at each replica is acknowledged, and a reset succeeds. Edges.cycle() shows
 * that without faults every world comes to rest, whatever happens in which order; this looks at the worlds at rest.
 * @param possible what may happen next in the world
 * @returns what is never answered
 */
export function whatNeverRecovers(world: World, possible: Action[], subject: Subject): string | undefined {
  if (possible.some(isNecessary)) return undefined;
  const open = world.operations.findIndex(({ state }) => state === 'pending');
  if (open >= 0) return `operation ${open} never gets an answer`;
  const { tables, servers, replicas } = world;
  const place = JSON.stringify([tables.visitors, servers, replicas]);
  const known = subjects.get(subject) ?? new Set();
  subjects.set(subject, known);
  if (known.has(place)) return undefined;
  known.add(place);

  const later = clone(world);
  const fresh = (kind: Operation['kind'], home: number): Operation => ({
    kind,
    home,
    state: 'new',
    after: 0,
    before: 0,
    number: 0,
  });
  const visits = replicas.map((_, home) => fresh('visit', home));
  const sent = world.operations.filter(({ kind }) => kind === 'reset');
  // Visits, a reset, and visits again: after the resets that were sent before.
  later.operations = [...sent, ...visits, fresh('reset', 0), ...structuredClone(visits)];
  later.strays = [];
  later.held = [];
  later.faults = 0;
  for (const [index, operation] of later.operations.entries()) {
    if (operation.state !== 'new' || index < sent.length) continue;
    const { knowledge } = replicas[operation.home] ?? {};
    if (later.replicas[operation.home]?.knowledge.downSince !== undefined || knowledge === undefined) {
      return `replica ${operation.home} refuses for ever: Postgres is considered down, and is not probed`;
    }
    send(later, index);
    arrive(later, index, operation.home);
    for (let steps = 0; steps < 200; steps++) {
      const necessary = actions(later, subject).find(isNecessary);
      if (!necessary) break;
      perform(later, necessary, subject);
    }
    if (later.operations[index]?.state !== 'done') {
      return `a new ${operation.kind} at replica ${operation.home} is not answered once all is well`;
    }
  }
  return undefined;
}

const subjects = new WeakMap<Subject, Set<string>>();
const isNecessary = (action: Action) => !costs(action) && !isArrival(action) && !isStray(action);

/** A graph of states, whose edges are added in the order of the states that they lead from. */
export class Edges {
  #count = 0;
  #from = new Int32Array(1 << 20);
  #to = new Int32Array(1 << 20);

  add(from: number, to: number): void {
    if (this.#count === this.#from.length) {
      this.#from = grown(this.#from);
      this.#to = grown(this.#to);
    }
    this.#from[this.#count] = from;
    this.#to[this.#count++] = to;
  }

  /**
   * A state on a cycle, or undefined if there is none.
   * By Kahn's algorithm (https://en.wikipedia.org/wiki/Topological_sorting): takes away, one after another, what nothing leads to.
   */
  cycle(states: number): number | undefined {
    const incoming = new Int32Array(states);
    const first = new Int32Array(states + 1);
    for (let edge = 0; edge < this.#count; edge++) {
      incoming[at(this.#to, edge)] = at(incoming, at(this.#to, edge)) + 1;
      first[at(this.#from, edge) + 1] = edge + 1;
    }
    for (let state = 0; state < states; state++)
      first[state + 1] = Math.max(at(first, state), at(first, state + 1));
    const free: number[] = [];
    for (let state = 0; state < states; state++) if (incoming[state] === 0) free.push(state);
    let taken = 0;
    for (let state = free.pop(); state !== undefined; state = free.pop()) {
      taken++;
      for (let edge = at(first, state); edge < at(first, state + 1); edge++) {
        const to = at(this.#to, edge);
        const left = at(incoming, to) - 1;
        incoming[to] = left;
        if (left === 0) free.push(to);
      }
    }
    return taken === states ? undefined : incoming.findIndex((left) => left > 0);
  }
}

const at = (array: Int32Array, index: number): number => array[index] ?? 0;

function grown(array: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(array.length * 2);
  larger.set(array);
  return larger;
}
