import type { Journal } from './journal.ts';
import type { Known, Replicas } from './replicas.ts';
import type { Alert, Replica, Sample, Snapshot, Store } from './snapshot.ts';

/** Ten minutes, a sample each second. */
const MOST_SAMPLES = 600;

const replica = ({ address: _a, said: _s, visits: _v, answers: _n, seconds: _t, ...shown }: Known): Replica =>
  shown;

/** What pages are shown, made of what the replicas and NGINX said. */
export class View {
  readonly samples: Sample[] = [];
  alerts: Alert[] = [];
  edge = { isUp: true, saidAt: 0 };
  readonly #replicas: Replicas;
  readonly #journal: Journal;
  readonly #wanted: number;
  #count: Snapshot['count'];
  #stores: Snapshot['stores'];
  #sampledAt: number;

  constructor(replicas: Replicas, journal: Journal, wanted: number, now: number) {
    this.#replicas = replicas;
    this.#journal = journal;
    this.#wanted = wanted;
    const unknown: Store = { state: 'unknown', cause: '', saidAt: 0 };
    this.#stores = { redis: unknown, postgres: unknown };
    this.#sampledAt = now;
  }

  /** Takes the sample of the time since the last one. */
  sample(now: number): void {
    const { visits, answers, seconds } = this.#replicas.take();
    const isKnown = this.#replicas.answering.length > 0;
    // Until a replica was heard, nothing is known.
    if (this.#replicas.all.length === 0) return;
    this.samples.push({
      at: now,
      visits: isKnown ? (visits * 1000) / Math.max(1, now - this.#sampledAt) : null,
      latency: answers > 0 && isKnown ? (seconds * 1000) / answers : null,
      state: this.#status(),
    });
    this.#sampledAt = now;
    if (this.samples.length > MOST_SAMPLES) this.samples.shift();
  }

  snapshot(now: number): Snapshot {
    const [latest] = this.#replicas.answering.toSorted(
      (a, b) => b.epoch - a.epoch || countOf(b) - countOf(a) || b.saidAt - a.saidAt,
    );
    if (latest && latest.said.postgres === 'up')
      this.#count = { value: countOf(latest), saidAt: latest.saidAt };
    this.#stores = { redis: this.#store('redis'), postgres: this.#store('postgres') };
    const nothing: Sample = { at: now, visits: null, latency: null, state: this.#status() };
    return {
      at: now,
      status: this.#status(),
      count: this.#count,
      sequencer: latest?.sequencer ?? 'unknown',
      epoch: latest?.epoch ?? 0,
      wanted: this.#wanted,
      edge: this.edge,
      stores: this.#stores,
      replicas: this.#replicas.all.map(replica),
      happenings: this.#journal.happenings,
      alerts: this.alerts,
      sample: this.samples.at(-1) ?? nothing,
    };
  }

  #status(): Snapshot['status'] {
    const states = this.#replicas.answering.map(({ state }) => state);
    if (!states.some((state) => state !== 'unavailable') || !this.edge.isUp) return 'unavailable';
    return states.every((state) => state === 'ok') && states.length >= this.#wanted ? 'ok' : 'degraded';
  }

  /** A store is up if a replica says so: the others may be cut off from it. */
  #store(name: 'redis' | 'postgres'): Store {
    const { answering } = this.#replicas;
    const [heard] = answering.toSorted(
      (a, b) => Number(b.said[name] === 'up') - Number(a.said[name] === 'up') || b.saidAt - a.saidAt,
    );
    const before = this.#stores[name];
    if (!heard) return { ...before, state: 'unknown' };
    const cause = heard.said[name];
    const state = cause === 'up' ? 'up' : 'down';
    const title = name === 'redis' ? 'Redis' : 'Postgres';
    if (state === 'down' && before.state === 'up')
      this.#journal.add('bad', `${title} does not serve the counter`);
    if (state === 'up' && before.state === 'down')
      this.#journal.add('good', `${title} serves the counter again`);
    return { state, cause: state === 'up' ? '' : cause, saidAt: heard.saidAt };
  }
}

const countOf = (replica: Known) => replica.said.metrics.get('counter_count');
