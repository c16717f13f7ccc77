import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { wallClock } from './clock.ts';
import { GroupCommit } from './group-commit.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A group commit whose batches take 1 ms each, and the sizes of its batches. */
function start() {
  const sizes: number[] = [];
  const batches: GroupCommit<number> = new GroupCommit(wallClock, async (batch) => {
    sizes.push(batch.length);
    await new Promise((resolve) => wallClock.after(1, () => resolve(undefined)));
    batches.answering(batch);
  });
  const add = (visits: number) => {
    for (let visit = 0; visit < visits; visit++) batches.add(visit);
  };
  return { batches, add, sizes };
}
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

it('has the clients of a batch in the next one, though they come back one after another', async () => {
  const { add, sizes } = start();
  add(8);
  await pass(1);
  for (let visit = 0; visit < 8; visit++) {
    add(1);
    await pass(0);
  }
  await pass(1);
  expect(sizes).toEqual([8, 8]);
});

it('closes a batch when 19 of 20 are back, and waits for the 19th', async () => {
  const { add, sizes } = start();
  add(20);
  await pass(1);
  add(18);
  await pass(3);
  expect(sizes).toEqual([20]);
  add(1);
  await pass(0);
  expect(sizes).toEqual([20, 19]);
});

it('lingers four times as long as the batch before took', async () => {
  const { add, sizes } = start();
  add(8);
  await pass(1);
  add(1);
  await pass(3);
  expect(sizes).toEqual([8]);
  await pass(1);
  expect(sizes).toEqual([8, 1]);
});

it('does not linger for a visit that comes after a pause, however many there were before it', async () => {
  const { add, sizes } = start();
  add(64);
  await pass(3000);
  add(1);
  await pass(0);
  expect(sizes).toEqual([64, 1]);
});

it('never lingers for a single visitor', async () => {
  const { add, sizes } = start();
  for (let visit = 1; visit <= 3; visit++) {
    add(1);
    await pass(1);
    expect(sizes).toHaveLength(visit);
  }
});

it('does not linger once it is closed', async () => {
  const { batches, add, sizes } = start();
  add(8);
  await pass(1);
  add(1);
  const closed = batches.close();
  await pass(1);
  await closed;
  expect(sizes).toEqual([8, 1]);
});
