/// <reference lib="dom" />
/** The status page: shows what the stream says, and how old it is. */
import type { Sample, Snapshot } from '../snapshot.ts';
import { Chart, clock } from './chart.ts';
import { alert, bars, card, happening, NAMES, none, number, SAMPLES, service } from './elements.ts';

/** Without a word for so long, what is shown is marked as old (ms). */
const STALE_MS = 3000;
/** So many events are shown. */
const EVENTS = 12;

const VERDICTS = {
  ok: 'All is well',
  degraded: 'Degraded, still counting',
  unavailable: 'Cannot count',
};

function at(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page lacks #${id}`);
  return element;
}

/** Changes the text only if it is another: a live region says it once. */
function write(id: string, text: string): void {
  const element = at(id);
  if (element.textContent !== text) element.textContent = text;
}

/** Replaces the children only if what they show has changed: what is selected or read out stays. */
const shown = new Map<string, string>();
function list(id: string, key: unknown, children: () => HTMLElement[]): void {
  const now = JSON.stringify(key);
  if (shown.get(id) === now) return;
  shown.set(id, now);
  at(id).replaceChildren(...children());
}

let samples: Sample[] = [];
let heardAt = 0;
/** The server's clock minus this one. */
let ahead = 0;
const chart = new Chart(at('chart'));

function show(snapshot: Snapshot): void {
  heardAt = performance.now();
  ahead = snapshot.at - Date.now();
  document.body.dataset.status = snapshot.status;
  write('verdict-text', VERDICTS[snapshot.status]);
  document.title = `${VERDICTS[snapshot.status]} · Status`;
  const { count, sample } = snapshot;
  const isCountOld = !count || snapshot.at - count.saidAt > STALE_MS;
  at('count').classList.toggle('is-old', isCountOld);
  write('count', count ? number(count.value) : '–');
  const sequencer = NAMES[snapshot.sequencer] ?? 'no store';
  write(
    'count-note',
    count && isCountOld ? `last said at ${clock(count.saidAt)}` : `${sequencer} gives out the numbers`,
  );
  write('visits', sample.visits === null ? '–' : number(sample.visits, sample.visits < 100 ? 1 : 0));
  const answering = snapshot.replicas.filter(({ state }) => state !== 'gone' && state !== 'silent').length;
  write('visits-note', `${answering} of ${snapshot.wanted} replicas`);
  write('latency', sample.latency === null ? '–' : number(sample.latency, 1));

  const { edge, stores } = snapshot;
  const second = Math.floor(snapshot.at / 1000);
  list('replicas', [snapshot.replicas, second], () =>
    snapshot.replicas.map((each) => card(each, snapshot.at)),
  );
  list('stores', [edge.isUp, stores, snapshot.sequencer], () => [
    service('NGINX', { state: edge.isUp ? 'up' : 'down', cause: '', saidAt: edge.saidAt }, ''),
    service('Redis', stores.redis, snapshot.sequencer === 'redis' ? 'gives out the numbers' : ''),
    service('Postgres', stores.postgres, snapshot.sequencer === 'postgres' ? 'gives out the numbers' : ''),
  ]);
  list('alerts', snapshot.alerts, () =>
    snapshot.alerts.length > 0 ? snapshot.alerts.map(alert) : [none('None fires')],
  );
  list('events', snapshot.happenings, () =>
    snapshot.happenings.length > 0
      ? snapshot.happenings.slice(0, EVENTS).map(happening)
      : [none('Nothing yet')],
  );
  // For a screen reader, which hears the last of them, and not the whole list anew.
  write('news', snapshot.happenings[0]?.text ?? '');
  age();
  if (samples.at(-1)?.at !== sample.at) {
    samples.push(sample);
    samples = samples.slice(-SAMPLES);
    chart.show(samples);
    list('bars', [samples.length, Math.floor(second / 2), sample.state], () => bars(samples));
  }
}

/** How old what is shown is, once a second, whether or not a word comes. */
function age(): void {
  if (heardAt === 0) return;
  const ms = performance.now() - heardAt;
  const isStale = ms > STALE_MS;
  const heard = clock(Date.now() + ahead - ms);
  write('fresh', isStale ? `Last heard at ${heard}` : 'Live');
  at('stale').hidden = !isStale;
  if (!isStale) return;
  document.body.dataset.status = 'unknown';
  write('verdict-text', 'Not known');
  write('stale', `Nothing was heard since ${heard}: what stands below is as it was then.`);
}

const stream = new EventSource('/status/events');
stream.addEventListener('history', ({ data }) => {
  samples = JSON.parse(data);
  chart.show(samples);
  at('bars').replaceChildren(...bars(samples));
});
stream.addEventListener('now', ({ data }) => show(JSON.parse(data)));
// A stream that was refused does not come back by itself.
stream.addEventListener('error', () => {
  if (stream.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
});
setInterval(age, 500);
