import type { Keys } from '../models/redis.ts';
import type { Canonical } from './canonical.ts';
import type { Running, World } from './world.ts';

const keys = ({ count, held }: Keys) => `${count} ${held?.epoch} ${held?.history}`;
const none = (rest: Record<string, never>) => rest;

/** Has a world share with others what never changes. */
export function share({ replicas }: World, canonical: Canonical): void {
  for (const replica of replicas) {
    replica.knowledge = canonical.of(replica.knowledge);
    for (const running of [replica.batch, replica.reset]) {
      if (!running) continue;
      const { flight } = running;
      running.task = canonical.of(running.task);
      flight.command = canonical.of(flight.command);
      if (flight.event) flight.event = canonical.of(flight.event);
    }
  }
}

/** What tells a world, which shares its parts, from others. A field that is not in it does not compile. */
export function key(world: World, canonical: Canonical): string {
  const id = (value: object | undefined) => canonical.number(value);
  const { tables, servers, saved, histories, replicas, operations, strays, gaps, held, faults, ...rest } =
    world;
  none(rest);
  const { count, epoch, sequencer } = tables.visitors;
  let text = `${count} ${epoch} ${sequencer} ${histories} ${gaps} ${faults} ${keys(saved)}`;
  for (const { id: reset, sentAt } of tables.resets) text += ` ${reset}@${sentAt}`;
  for (const server of servers) text += `|${keys(server)} ${server.history}`;
  for (const { knowledge, history, queue, resets, batch, reset, ...rest } of replicas) {
    none(rest);
    text += `/${id(knowledge)} ${history} ${queue} ${resets}${running(batch, id)}${running(reset, id)}`;
  }
  for (const { state, after, before, number, kind: _kind, home: _home, ...rest } of operations) {
    none(rest);
    text += `;${state} ${after} ${before} ${number}`;
  }
  for (const { command, history } of strays) text += `+${id(command)} ${history}`;
  return `${text}-${held}`;
}

function running(running: Running | undefined, id: (value: object | undefined) => number): string {
  if (!running) return '.';
  const { task, flight, operations, awaited, ...rest } = running;
  none(rest);
  const { command, event, history } = flight;
  return `:${id(task)} ${id(command)} ${id(event)} ${history} ${operations} ${awaited}`;
}
