import { reset } from '../../../web/src/counter/protocol.ts';
import type { Event } from '../../../web/src/counter/states.ts';
import type { Subject } from '../models/subject.ts';
import type { Action } from './actions.ts';
import { arrive, end, send } from './clients.ts';
import { cause } from './faults.ts';
import { failure, hear, proceed } from './replica.ts';
import { carryOut } from './stores.ts';
import { current, missing, operationOf, replicaOf, runningOf, type World } from './world.ts';

/** Performs an action on the world, in place. */
export function perform(world: World, action: Action, subject: Subject): void {
  switch (action.do) {
    case 'send':
      send(world, action.operation);
      arrive(world, action.operation, operationOf(world, action.operation).home);
      return;
    case 'send, refused':
      send(world, action.operation);
      end(world, action.operation, 'failed');
      return;
    case 'start': {
      const replica = replicaOf(world, action.replica);
      const operations = action.slot === 'batch' ? replica.queue.splice(0) : replica.resets.splice(0, 1);
      const [first = 0] = operations;
      const task =
        action.slot === 'batch'
          ? subject.visits
          : reset({ id: `${first}`, sentAt: operationOf(world, first).number });
      proceed(world, replica, action.slot, task, { operations, awaited: true }, subject);
      return;
    }
    case 'carry out': {
      const { flight } = runningOf(world, action);
      flight.event = carryOut(world, flight, subject);
      return;
    }
    case 'hear': {
      const { flight } = runningOf(world, action);
      hear(world, action, flight.event ?? ({ ...flight.command, answer: 'done' } as Event), subject);
      return;
    }
    case 'lose':
      hear(world, action, failure(world, action, 'unknown'), subject);
      return;
    case 'probe': {
      const replica = replicaOf(world, action.replica);
      replica.knowledge = subject.protocol.revived(replica.knowledge);
      return;
    }
    case 'close breaker': {
      const replica = replicaOf(world, action.replica);
      replica.knowledge = { ...replica.knowledge, openUntil: 0 };
      return;
    }
    case 'stop following': {
      const replica = replicaOf(world, action.replica);
      replica.knowledge = { ...replica.knowledge, followUntil: 0 };
      return;
    }
    case 'reconnect':
      replicaOf(world, action.replica).history = current(world).history;
      return;
    case 'carry out stray': {
      const [stray = missing('stray')] = world.strays.splice(action.stray, 1);
      carryOut(world, stray, subject, true);
      return;
    }
    case 'arrive late':
      world.held = world.held.filter((operation) => operation !== action.operation);
      arrive(world, action.operation, operationOf(world, action.operation).home);
      return;
    default:
      world.faults--;
      cause(world, action, subject);
  }
}
