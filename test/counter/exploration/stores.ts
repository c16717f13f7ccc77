import type { Event } from '../../../web/src/counter/states.ts';
import type { Subject } from '../models/subject.ts';
import { ANY, type Flight, missing, serverOf, type World } from './world.ts';

/** The store carries a command out: its answer. */
export function carryOut(
  world: World,
  { command, history }: Pick<Flight, 'command' | 'history'>,
  subject: Subject,
  isStray = false,
): Event {
  const { tables } = world;
  const { statements, scripts } = subject;
  switch (command.do) {
    case 'read':
      return { ...command, answer: statements.read(tables) };
    case 'commit':
      return { ...command, answer: statements.commit(tables, command.epoch, command.last) };
    case 'incrementInFallback':
      return { ...command, answer: statements.incrementInFallback(tables, command.epoch, command.n) };
    case 'failOver':
      return { ...command, answer: statements.failOver(tables, command.epoch, command.n) };
    case 'failBack':
      return { ...command, answer: statements.failBack(tables, command.epoch) };
    case 'reset':
      return { ...command, answer: statements.reset(tables, command.epoch, command.reset) };
    case 'pause':
    case 'wait':
      return { ...command, answer: 'done' };
  }
  const server = serverOf(world, history) ?? missing('server of Redis');
  const before = { count: server.count, held: server.held };
  try {
    if (command.do === 'increment') {
      return { ...command, answer: scripts.increment(server, command.epoch, command.n) };
    }
    if (command.do === 'install') {
      scripts.install(server, command.epoch, command.count);
      if (subject.resendsInstalls && !isStray) world.strays.push({ command, history: ANY });
    }
    return { ...command, answer: 'done' };
  } finally {
    if (server.count !== before.count || server.held !== before.held) world.saved = before;
  }
}
