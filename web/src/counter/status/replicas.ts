import type { Exposition } from './exposition.ts';
import type { Journal } from './journal.ts';
import type { Replica } from './snapshot.ts';

/** A replica that was silent for so long does not answer (ms): its stores may take 0.9 s to fail, and it is asked twice a second. */
const SILENT_MS = 1500;
/** One that is gone is shown for so long (ms). */
const SHOWN_MS = 600_000;
/** After so many, those that went first are forgotten: a loop of crashes must not fill the memory. */
const MOST_GONE = 9;

/** What a replica said: its metrics, and of its stores the causes. */
export interface Answer {
  metrics: Exposition;
  redis: string;
  postgres: string;
}

export interface Known extends Replica {
  address: string;
  said: Answer;
  /** Between its last two answers. */
  visits: number;
  answers: number;
  seconds: number;
}

/** All replicas that were seen in the last ten minutes, and what each said last. */
export class Replicas {
  restarts = 0;
  readonly #known = new Map<string, Known>();
  readonly #journal: Journal;
  readonly #now: () => number;

  constructor(journal: Journal, now: () => number) {
    this.#journal = journal;
    this.#now = now;
  }

  /** Oldest first, and those that are gone last. */
  get all(): Known[] {
    const rank = (replica: Known) => (replica.state === 'gone' ? 1 : 0);
    return [...this.#known.values()].toSorted((a, b) => rank(a) - rank(b) || a.startedAt - b.startedAt);
  }

  get answering(): Known[] {
    return this.all.filter(({ state }) => state !== 'gone' && state !== 'silent');
  }

  /** A replica answered. */
  hear(address: string, answer: Answer): void {
    const { metrics } = answer;
    const id = metrics.label('app_info', 'host') ?? address;
    const before = this.#known.get(id);
    const startedAt = metrics.get('process_start_time_seconds') * 1000;
    const isSame = before?.startedAt === startedAt;
    if (!before) this.#journal.add('good', `Replica ${id} is new`);
    else if (!isSame) {
      this.restarts++;
      this.#journal.add('bad', `Replica ${id} was restarted`);
    } else if (before.state === 'silent' || before.state === 'gone') {
      this.#journal.add('good', `Replica ${id} answers again`);
    }
    const since = (series: string) => metrics.get(series) - (isSame ? before.said.metrics.get(series) : 0);
    // What was counted before this was here is no news.
    if (before) {
      for (const [cause, kind, text] of [
        ['fail_over', 'bad', 'failed over: Postgres is the sequencer'],
        ['fail_back', 'good', 'failed back: Redis is the sequencer'],
        ['reset', 'neutral', 'reset the count'],
      ] as const) {
        if (since(`counter_epochs_total{cause="${cause}"}`) > 0)
          this.#journal.add(kind, `Replica ${id} ${text}`);
      }
    }
    // A server that answers under another's address has taken its place.
    for (const other of this.#known.values())
      if (other.address === address && other.id !== id) this.#lose(other);
    const status = metrics.label('app_status', 'status');
    this.#known.set(id, {
      id,
      address,
      said: answer,
      state: status === 'ok' || status === 'degraded' ? status : 'unavailable',
      saidAt: this.#now(),
      startedAt,
      restarts: (before?.restarts ?? 0) + (before && !isSame ? 1 : 0),
      sequencer: metrics.label('counter_sequencer', 'store') ?? 'unknown',
      epoch: metrics.get('counter_epoch'),
      pending: metrics.get('counter_pending_requests'),
      pendingLimit: metrics.get('counter_pending_limit'),
      oldestSeconds: metrics.get('counter_oldest_pending_seconds'),
      isBreakerOpen: metrics.get('counter_breaker_open') === 1,
      visits: (before?.visits ?? 0) + (before ? since('counter_visits_total') : 0),
      answers: (before?.answers ?? 0) + (before ? since(series('count')) : 0),
      seconds: (before?.seconds ?? 0) + (before ? since(series('sum')) : 0),
    });
  }

  /** It refused, or broke off: it does not answer. */
  miss(address: string): void {
    for (const replica of this.#known.values()) {
      if (replica.address === address && replica.state !== 'gone') this.#silence(replica);
    }
  }

  /** Call several times a second, with the addresses that Docker lists; undefined if it does not tell. */
  check(listed: string[] | undefined): void {
    const now = this.#now();
    for (const replica of this.#known.values()) {
      if (replica.state === 'gone') {
        if (now - replica.saidAt > SHOWN_MS) this.#known.delete(replica.id);
        continue;
      }
      if (now - replica.saidAt > SILENT_MS) this.#silence(replica);
      if (replica.state === 'silent' && listed && !listed.includes(replica.address)) this.#lose(replica);
    }
  }

  /** What was counted since the last call: visits, their answers, and the seconds that these took. */
  take(): { visits: number; answers: number; seconds: number } {
    const sum = { visits: 0, answers: 0, seconds: 0 };
    for (const replica of this.#known.values()) {
      sum.visits += replica.visits;
      sum.answers += replica.answers;
      sum.seconds += replica.seconds;
      replica.visits = 0;
      replica.answers = 0;
      replica.seconds = 0;
    }
    return sum;
  }

  #silence(replica: Known): void {
    if (replica.state === 'silent') return;
    replica.state = 'silent';
    this.#journal.add('bad', `Replica ${replica.id} does not answer`);
  }

  #lose(replica: Known): void {
    if (replica.state === 'gone') return;
    replica.state = 'gone';
    this.#journal.add('bad', `Replica ${replica.id} is gone`);
    const gone = this.all.filter(({ state }) => state === 'gone').toSorted((a, b) => a.saidAt - b.saidAt);
    for (const { id } of gone.slice(0, -MOST_GONE)) this.#known.delete(id);
  }
}

/** Of the visits that were answered. */
const series = (part: 'sum' | 'count') =>
  `http_server_request_duration_seconds_${part}{http_request_method="GET",http_route="/",http_response_status_code="200"}`;
