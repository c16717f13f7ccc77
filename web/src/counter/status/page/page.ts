/// <reference lib="dom" />
/** The status page: shows what the stream says, and how old it is. */
import type { Alert, Happening, Replica, Sample, Snapshot, Store } from '../snapshot.ts';
import { Chart, clock } from './chart.ts';

/** Without a word for so long, what is shown is marked as old (ms). */
const STALE_MS = 3000;
const SAMPLES = 600;
const BARS = 60;
/** So many events are shown. */
const EVENTS = 12;

const VERDICTS = {
  ok: 'All is well',
  degraded: 'Degraded, still counting',
  unavailable: 'Cannot count',
};
const WORDS = {
  ok: 'well',
  degraded: 'degraded',
  unavailable: 'cannot count',
  silent: 'silent',
  gone: 'gone',
};
const NAMES: Record<string, string> = { redis: 'Redis', postgres: 'Postgres' };

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

function make(tag: string, text = '', attributes: Record<string, string> = {}): HTMLElement {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** Replaces the children only if what they show has changed: what is selected or read out stays. */
const shown = new Map<string, string>();
function list(id: string, key: unknown, children: () => HTMLElement[]): void {
  const now = JSON.stringify(key);
  if (shown.get(id) === now) return;
  shown.set(id, now);
  at(id).replaceChildren(...children());
}

const number = (value: number, digits = 0) =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });

function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

function card(replica: Replica, now: number): HTMLElement {
  const item = make('li', '', { 'data-state': replica.state, 'data-id': replica.id });
  const title = make('h3', replica.id);
  title.append(make('span', WORDS[replica.state]));
  const isOld = replica.state === 'silent' || replica.state === 'gone';
  const facts: [string, string][] = isOld
    ? [['last said', `${clock(replica.saidAt)}, ${duration(now - replica.saidAt)} ago`]]
    : [['up for', duration(now - replica.startedAt)]];
  facts.push(
    ['sequencer', NAMES[replica.sequencer] ?? replica.sequencer],
    ['epoch', String(replica.epoch)],
    ['pending', `${replica.pending} of ${replica.pendingLimit}`],
    ['breaker', replica.isBreakerOpen ? 'open' : 'closed'],
  );
  if (replica.restarts > 0) facts.push(['restarts', String(replica.restarts)]);
  const details = make('dl', '', isOld ? { class: 'is-old' } : {});
  for (const [term, fact] of facts) details.append(make('dt', term), make('dd', fact));
  item.append(title, details);
  return item;
}

function service(name: string, { state, cause, saidAt }: Store, detail: string): HTMLElement {
  const item = make('li', '', { 'data-state': state, 'data-service': name });
  const word = { up: 'up', down: 'down', unknown: 'not known' }[state];
  item.append(make('span', name), make('span', word, { class: 'word' }));
  const known = state === 'unknown' && saidAt > 0 ? `last said at ${clock(saidAt)}` : '';
  const note = cause || known || detail;
  if (note) item.append(make('small', note));
  return item;
}

function happening({ at, kind, text }: Happening): HTMLElement {
  const item = make('li', '', { 'data-kind': kind });
  item.append(make('span', text), make('time', clock(at), { datetime: new Date(at).toISOString() }));
  return item;
}

function alert({ name, severity, summary, since }: Alert): HTMLElement {
  const item = make('li', '', { 'data-kind': severity === 'page' ? 'bad' : 'neutral' });
  item.append(make('span', name), make('time', clock(since)), make('small', summary));
  return item;
}

/** The worst of each ten seconds; a height and a colour. */
function bars(samples: Sample[]): HTMLElement[] {
  const length = SAMPLES / BARS;
  return Array.from({ length: BARS }, (_, bar) => {
    const end = samples.length - (BARS - 1 - bar) * length;
    const part = samples.slice(Math.max(0, end - length), Math.max(0, end)).map(({ state }) => state);
    const worst = (['unavailable', 'degraded', 'ok'] as const).find((state) => part.includes(state));
    return make('i', '', worst ? { 'data-state': worst } : {});
  });
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

function none(text: string): HTMLElement {
  const item = make('li', '', { class: 'none' });
  item.append(make('span', text));
  return item;
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
