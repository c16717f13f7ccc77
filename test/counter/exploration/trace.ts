import type { Command, Event } from '../../../web/src/counter/states.ts';
import { SUBJECT, type Subject } from '../models/subject.ts';
import type { Action } from './actions.ts';
import type { Counterexample } from './explore.ts';
import { perform } from './perform.ts';
import { initialWorld, type Size, type World } from './world.ts';

/** A counterexample, a line an action, as a person reads it. It is performed again for that. */
export function trace({ broken, actions }: Counterexample, size: Size, subject: Subject = SUBJECT): string {
  const world = initialWorld(size);
  const lines = actions.map((action, index) => {
    const line = `${String(index + 1).padStart(3)}. ${describe(world, action)}`;
    perform(world, action, subject);
    return `${line}${outcome(world, action)}`;
  });
  return [...lines, ...broken.map((promise) => `     BROKEN: ${promise}`)].join('\n');
}

function describe(world: World, action: Action): string {
  const running = 'slot' in action ? world.replicas[action.replica]?.[action.slot] : undefined;
  const command = running ? say(running.flight.command) : '';
  const operation = 'operation' in action ? nameOf(world, action.operation) : '';
  switch (action.do) {
    case 'send':
      return `${operation} is sent to replica ${world.operations[action.operation]?.home}`;
    case 'send, refused':
      return `${operation} is sent, and refused because Postgres has been down for so long`;
    case 'start':
      return `replica ${action.replica} starts a ${action.slot}`;
    case 'carry out':
      return `${command} of replica ${action.replica} is carried out`;
    case 'hear':
      return `replica ${action.replica} hears of ${command}`;
    case 'lose':
      return `replica ${action.replica} gets no answer to ${command}: that server is gone`;
    case 'probe':
      return `replica ${action.replica} probes Postgres, which answers`;
    case 'close breaker':
      return `replica ${action.replica} has left Redis alone for long enough`;
    case 'stop following':
      return `replica ${action.replica} has stayed with Postgres for long enough`;
    case 'reconnect':
      return `replica ${action.replica} connects to the new server of Redis`;
    case 'carry out stray': {
      const stray = world.strays[action.stray];
      return `late: ${stray ? say(stray.command) : ''} is carried out`;
    }
    case 'arrive late':
      return `late: ${operation} arrives`;
    case 'a replica dies':
      return `FAULT: replica ${action.replica} dies`;
    case 'a request is given up':
    case 'NGINX repeats a reset at another replica':
    case 'the network holds a reset back':
      return `FAULT: ${action.do}: ${operation}`;
    case 'a reply is lost':
    case 'a command is given up, and may be carried out later':
    case 'a command is not sent':
      return `FAULT: ${action.do}: ${command} of replica ${action.replica}`;
    default:
      return `FAULT: ${action.do}`;
  }
}

/** What a store answered, and whether an operation has ended by it. */
function outcome(world: World, action: Action): string {
  if (action.do === 'carry out')
    return `: ${sayEvent(world.replicas[action.replica]?.[action.slot]?.flight.event)}`;
  if (action.do !== 'hear') return '';
  const running = world.replicas[action.replica]?.[action.slot];
  if (running) return `, and asks for ${say(running.flight.command)}`;
  const numbers = world.operations.map(({ kind, state, number }, index) =>
    kind === 'visit' && state === 'done' ? `${nameOf(world, index)} = ${number}` : '',
  );
  return `, and is done. Answered so far: ${numbers.filter(Boolean).join(', ') || 'no visit'}`;
}

function nameOf(world: World, operation: number): string {
  return `${world.operations[operation]?.kind} ${operation}`;
}

function say({ do: name, ...details }: Command): string {
  return `${name}(${Object.values(details)
    .map((value) => JSON.stringify(value))
    .join(', ')})`;
}

function sayEvent(event: Event | undefined): string {
  if (!event) return '';
  return 'failed' in event ? 'failed' : (JSON.stringify(event.answer) ?? 'refused');
}
