import { EMPTY, type Keys } from '../models/redis.ts';
import type { Subject } from '../models/subject.ts';
import type { Action } from './actions.ts';
import { arrive, end, send } from './clients.ts';
import { failure, hear, isEarly } from './replica.ts';
import {
  changes,
  current,
  newReplica,
  operationOf,
  replicaOf,
  runningOf,
  type Slot,
  type World,
} from './world.ts';

export const FAULTS = [
  'redis restarts empty',
  'redis restarts with old data',
  'redis fails over to a replica that lags',
  'redis evicts the count',
  'a reply is lost',
  'a command is given up, and may be carried out later',
  'a command is not sent',
  'an install takes longer than the pause for it',
  'a replica dies',
  'a request is given up',
  'NGINX repeats a reset at another replica',
  'the network holds a reset back',
] as const;
export type Fault = (typeof FAULTS)[number];

export function addFaults(world: World, found: Action[]): void {
  const { replicas, operations, held, saved } = world;
  const add = (fault: Fault, where: { replica?: number; slot?: Slot; operation?: number } = {}) =>
    found.push({ do: fault, replica: 0, slot: 'batch', operation: 0, ...where });
  add('redis restarts empty');
  if (saved.held) add('redis restarts with old data');
  if (world.servers.length === 1) add('redis fails over to a replica that lags');
  if (current(world).count !== undefined) add('redis evicts the count');
  for (const [replica, { batch, reset, knowledge }] of replicas.entries()) {
    for (const [slot, running] of [
      ['batch', batch],
      ['reset', reset],
    ] as const) {
      if (running && isEarly(world, running))
        add('an install takes longer than the pause for it', { replica, slot });
      if (running === undefined || ['wait', 'pause'].includes(running.flight.command.do)) continue;
      if (running.flight.event !== undefined) add('a reply is lost', { replica, slot });
      else {
        if (changes(running.flight.command))
          add('a command is given up, and may be carried out later', { replica, slot });
        add('a command is not sent', { replica, slot });
      }
    }
    if (batch || reset || knowledge.row) add('a replica dies', { replica });
  }
  for (const [operation, { kind, state }] of operations.entries()) {
    if (state === 'pending' && !held.includes(operation)) add('a request is given up', { operation });
    if (state === 'pending' && kind === 'reset' && replicas.length > 1) {
      add('NGINX repeats a reset at another replica', { operation });
    }
    if (state === 'new' && kind === 'reset') add('the network holds a reset back', { operation });
  }
}

export function cause(world: World, action: Extract<Action, { do: Fault }>, subject: Subject): void {
  switch (action.do) {
    case 'redis restarts empty':
      restart(world, EMPTY);
      return;
    case 'redis restarts with old data':
      restart(world, world.saved);
      return;
    case 'redis fails over to a replica that lags':
      world.servers.push({ ...world.saved, history: ++world.histories });
      return;
    case 'redis evicts the count':
      current(world).count = undefined;
      return;
    case 'an install takes longer than the pause for it':
      hear(world, action, { do: 'pause', ms: 0, answer: 'done' }, subject);
      return;
    case 'a reply is lost':
      hear(world, action, failure(world, action, 'unknown'), subject);
      return;
    case 'a command is given up, and may be carried out later': {
      const { flight } = runningOf(world, action);
      world.strays.push({ command: flight.command, history: flight.history });
      hear(world, action, failure(world, action, 'unknown'), subject);
      return;
    }
    case 'a command is not sent':
      hear(world, action, failure(world, action, 'unsent'), subject);
      return;
    case 'a replica dies': {
      const { batch, reset, queue, resets, history } = replicaOf(world, action.replica);
      for (const running of [batch, reset]) {
        if (!running) continue;
        const { command, event, history } = running.flight;
        if (event === undefined && changes(command)) world.strays.push({ command, history });
        if (running === batch) world.gaps += running.operations.length;
        for (const operation of running.operations) if (running.awaited) end(world, operation, 'failed');
      }
      for (const operation of [...queue, ...resets]) end(world, operation, 'failed');
      world.replicas[action.replica] = { ...newReplica(), history };
      return;
    }
    case 'a request is given up':
      ignore(world, action.operation);
      end(world, action.operation, 'failed');
      return;
    case 'NGINX repeats a reset at another replica': {
      ignore(world, action.operation);
      const { home } = operationOf(world, action.operation);
      arrive(world, action.operation, (home + 1) % world.replicas.length);
      return;
    }
    case 'the network holds a reset back':
      send(world, action.operation);
      world.held.push(action.operation);
      end(world, action.operation, 'failed');
      return;
  }
}

function restart(world: World, keys: Keys): void {
  const { history: before } = current(world);
  world.servers = world.servers.filter(({ history }) => history !== before);
  world.servers.push({ ...keys, history: ++world.histories });
  for (const replica of world.replicas) if (replica.history === before) replica.history = world.histories;
}

/** A replica goes on with a reset whose client has gone. */
function ignore(world: World, operation: number): void {
  for (const { reset } of world.replicas) if (reset?.operations.includes(operation)) reset.awaited = false;
}
