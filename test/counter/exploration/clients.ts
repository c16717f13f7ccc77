import { type Operation, operationOf, replicaOf, type World } from './world.ts';

export function send(world: World, number: number): void {
  const operation = operationOf(world, number);
  operation.state = 'pending';
  operation.after = mask(world, ({ state }) => state === 'done');
  // A reset's number is when it was sent.
  if (operation.kind === 'reset')
    operation.number = world.operations.filter(
      ({ kind, state }) => kind === 'reset' && state !== 'new',
    ).length;
}

export function mask({ operations }: World, is: (operation: Operation) => boolean): number {
  let bits = 0;
  for (const [index, operation] of operations.entries()) if (is(operation)) bits |= 1 << index;
  return bits;
}

export function arrive(world: World, operation: number, home: number): void {
  const replica = replicaOf(world, home);
  (operationOf(world, operation).kind === 'visit' ? replica.queue : replica.resets).push(operation);
}

export function end(world: World, number: number, state: 'done' | 'failed'): void {
  const operation = operationOf(world, number);
  if (operation.state !== 'pending') return;
  operation.state = state;
  operation.before = mask(world, ({ kind, state }) => kind === 'reset' && state !== 'new');
}
