import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { counterMetrics } from './metrics.ts';

/** What it tells, as lines of name, labels and value. */
function setUp() {
  let now = 0;
  const registry = new Registry();
  const metrics = counterMetrics(registry, () => now);
  const told = async (name: string) =>
    (await registry.metrics()).split('\n').filter((line) => line.startsWith(name) && !line.startsWith('#'));
  const turn = (ms: number) => {
    now += ms;
  };
  return { ...metrics, told, turn };
}

it('every series that counts is there from the start: what was never seen cannot rise', async () => {
  const { told } = setUp();
  expect(await told('counter_epochs_total')).toEqual([
    'counter_epochs_total{cause="fail_over"} 0',
    'counter_epochs_total{cause="fail_back"} 0',
    'counter_epochs_total{cause="reset"} 0',
  ]);
  expect(await told('counter_refusals_total')).toHaveLength(8);
  expect(await told('counter_gap_numbers_total')).toEqual(['counter_gap_numbers_total 0']);
});

it('counts the time for which each store was the sequencer', async () => {
  const { observer, told, turn } = setUp();
  turn(500);
  observer.row({ count: 7, epoch: 3, sequencer: 'redis' });
  turn(2000);
  observer.counted(2, 9, 'postgres');
  turn(1000);
  expect(await told('counter_sequencer_seconds_total')).toEqual([
    'counter_sequencer_seconds_total{store="redis"} 2',
    'counter_sequencer_seconds_total{store="postgres"} 1',
  ]);
  expect(await told('counter_sequencer{')).toEqual([
    'counter_sequencer{store="redis"} 0',
    'counter_sequencer{store="postgres"} 1',
  ]);
  expect(await told('counter_visits_total')).toEqual(['counter_visits_total 2']);
  expect([...(await told('counter_count')), ...(await told('counter_epoch '))]).toEqual([
    'counter_count 7',
    'counter_epoch 3',
  ]);
});

it('times each command by its store, and counts those without an answer', async () => {
  const { observer, told } = setUp();
  observer.command('commit', 2, false);
  observer.command('increment', 150, true);
  observer.command('pause', 20, false);
  expect(await told('counter_store_command_duration_seconds_sum')).toEqual([
    'counter_store_command_duration_seconds_sum{store="postgres",command="commit"} 0.002',
    'counter_store_command_duration_seconds_sum{store="redis",command="increment"} 0.15',
  ]);
  expect(await told('counter_store_failures_total')).toEqual([
    'counter_store_failures_total{store="redis"} 1',
    'counter_store_failures_total{store="postgres"} 0',
  ]);
});

it("tells a replica's state as it is when it is asked", async () => {
  const { watch, told } = setUp();
  let pending = 3;
  watch(() => ({ pending, mostPending: 4000, oldestMs: 1500, isBreakerOpen: true }));
  expect(await told('counter_pending_requests')).toEqual(['counter_pending_requests 3']);
  pending = 0;
  expect(await told('counter_pending_requests')).toEqual(['counter_pending_requests 0']);
  expect(await told('counter_oldest')).toEqual(['counter_oldest_pending_seconds 1.5']);
  expect(await told('counter_breaker')).toEqual(['counter_breaker_open 1']);
});
