import { Counter as Count, Gauge, Histogram, type Registry } from 'prom-client';
import type { CounterState } from './counter.ts';
import type { Observer } from './observer.ts';
import type { Sequencer } from './store.ts';

const STORES: Sequencer[] = ['redis', 'postgres'];
/** Which commands go where; `pause` and `wait` go nowhere. */
const STORE_OF: Record<string, Sequencer> = {
  ...Object.fromEntries(['increment', 'install', 'ping'].map((name) => [name, 'redis'])),
  ...Object.fromEntries(
    ['read', 'commit', 'incrementInFallback', 'failOver', 'failBack', 'reset'].map((name) => [
      name,
      'postgres',
    ]),
  ),
};
const CAUSES = { failOver: 'fail_over', failBack: 'fail_back', reset: 'reset' };
const REASONS = ['shutdown', 'postgres_away', 'full', 'late', 'deadline', 'gone', 'overflow', 'failed'];

export interface CounterMetrics {
  observer: Observer;
  /** Whether the stores answered when they were last asked. */
  stores: (up: Record<Sequencer, boolean>) => void;
  /** From now on this replica's state is told. */
  watch: (state: () => CounterState) => void;
}

/** Makes Prometheus's metrics of what happens in the counter. A series that can count is there from the start, with 0. */
export function counterMetrics(registry: Registry, now = () => performance.now()): CounterMetrics {
  const registers = [registry];
  const count = (name: string, help: string) => new Count({ name, help, registers });
  const visits = count('counter_visits_total', 'Visits that got their number.');
  const gaps = count('counter_gap_numbers_total', 'Numbers that may never be shown to a visitor.');
  const by = (name: string, label: string, values: string[], help: string) => {
    const metric = new Count({ name, help, labelNames: [label], registers });
    for (const value of values) metric.inc({ [label]: value }, 0);
    return metric;
  };
  const refusals = by('counter_refusals_total', 'reason', REASONS, 'Visits and resets that were refused.');
  const epochs = by(
    'counter_epochs_total',
    'cause',
    Object.values(CAUSES),
    'Epochs that this replica started: fail-overs, fail-backs and resets.',
  );
  const failures = by('counter_store_failures_total', 'store', STORES, 'Commands without an answer.');
  const batches = new Histogram({
    name: 'counter_batch_visits',
    help: 'How many visits share a batch.',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
    registers,
  });
  const SHORT = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
  const linger = new Histogram({
    name: 'counter_linger_seconds',
    help: 'How long a batch stayed open for clients that return.',
    buckets: SHORT,
    registers,
  });
  const commands = new Histogram({
    name: 'counter_store_command_duration_seconds',
    help: 'How long a store took for a command; `commit` makes numbers durable.',
    labelNames: ['store', 'command'],
    buckets: SHORT,
    registers,
  });

  // Of what happens for each batch the series is looked up once.
  const timers = new Map<string, { observe: (seconds: number) => void }>();
  let current: Sequencer | undefined;
  let since = 0;
  const seconds = by(
    'counter_sequencer_seconds_total',
    'store',
    STORES,
    'Time for which a store was the sequencer here.',
  );
  const passTime = () => {
    const at = now();
    if (current) seconds.inc({ store: current }, (at - since) / 1000);
    since = at;
  };
  const turnTo = (sequencer: Sequencer) => {
    if (sequencer === current) return;
    passTime();
    current = sequencer;
  };
  const gauge = (name: string, help: string, collect?: (this: Gauge) => void) =>
    new Gauge({ name, help, registers, ...(collect && { collect }) });
  const labelled = (name: string, help: string, collect?: (this: Gauge<'store'>) => void) =>
    new Gauge({ name, help, labelNames: ['store'], registers, ...(collect && { collect }) });
  labelled('counter_sequencer', '1 for the store that gave out the last numbers here.', function () {
    passTime();
    for (const store of STORES) this.set({ store }, store === current ? 1 : 0);
  });
  const up = labelled('counter_store_up', '1 for a store that does what the counter asks of it.');
  const committed = gauge('counter_count', 'The count in Postgres, when it was last read.');
  const epoch = gauge('counter_epoch', 'The epoch in Postgres, when it was last read.');

  return {
    observer: {
      batch(size, lingerMs) {
        batches.observe(size);
        linger.observe(lingerMs / 1000);
      },
      command(command, ms, failed) {
        const store = STORE_OF[command];
        if (!store) return;
        let timer = timers.get(command);
        if (!timer) {
          timer = commands.labels(store, command);
          timers.set(command, timer);
        }
        timer.observe(ms / 1000);
        if (failed) failures.inc({ store });
      },
      epoch: (cause) => epochs.inc({ cause: CAUSES[cause] }),
      counted(numbered, _last, sequencer) {
        visits.inc(numbered);
        turnTo(sequencer);
      },
      refused: (reason) => refusals.inc({ reason }),
      gap: (numbers) => gaps.inc(numbers),
      row(row) {
        committed.set(row.count);
        epoch.set(row.epoch);
        // A replica without visitors learns of it here.
        turnTo(row.sequencer);
      },
    },
    stores(states) {
      for (const store of STORES) up.set({ store }, states[store] ? 1 : 0);
    },
    watch(state) {
      const tell = (name: string, help: string, of: (state: CounterState) => number) =>
        gauge(name, help, function () {
          this.set(of(state()));
        });
      tell('counter_pending_requests', 'Visits and resets without an answer yet.', (now) => now.pending);
      tell('counter_pending_limit', 'So many may be pending; more are refused.', (now) => now.mostPending);
      tell(
        'counter_oldest_pending_seconds',
        'How long the oldest of them has waited.',
        (now) => now.oldestMs / 1000,
      );
      tell('counter_breaker_open', '1 while this replica leaves Redis alone.', (now) =>
        now.isBreakerOpen ? 1 : 0,
      );
    },
  };
}
