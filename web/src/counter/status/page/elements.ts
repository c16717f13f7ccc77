/// <reference lib="dom" />
/** What the page is made of: elements for what a snapshot holds. */
import type { Alert, Happening, Replica, Sample, Store } from '../snapshot.ts';
import { clock } from './chart.ts';

const WORDS = {
  ok: 'well',
  degraded: 'degraded',
  unavailable: 'cannot count',
  silent: 'silent',
  gone: 'gone',
};
export const NAMES: Record<string, string> = { redis: 'Redis', postgres: 'Postgres' };
/** Ten minutes, a second each, and so many bars. */
export const SAMPLES = 600;
const BARS = 60;

function make(tag: string, text = '', attributes: Record<string, string> = {}): HTMLElement {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** As readers of English write it, whatever the browser's language: 12,345.6. */
export const number = (value: number, digits = 0) =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** In the two largest units. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

/** A replica; of one that does not answer, what it said last. */
export function card(replica: Replica, now: number): HTMLElement {
  const item = make('li', '', { 'data-state': replica.state, 'data-id': replica.id });
  const title = make('h3', replica.id);
  title.append(make('span', WORDS[replica.state]));
  const isOld = replica.state === 'silent' || replica.state === 'gone';
  const facts: [string, string][] = isOld
    ? [['last said', `${clock(replica.saidAt)}, ${duration(now - replica.saidAt)} ago`]]
    : [['up for', duration(now - replica.startedAt)]];
  facts.push(['sequencer', NAMES[replica.sequencer] ?? replica.sequencer], ['epoch', String(replica.epoch)]);
  if (replica.state !== 'gone') {
    facts.push(
      ['pending', `${replica.pending} of ${replica.pendingLimit}`],
      ['breaker', replica.isBreakerOpen ? 'open' : 'closed'],
    );
  }
  if (replica.restarts > 0) facts.push(['restarts', String(replica.restarts)]);
  const details = make('dl', '', isOld ? { class: 'is-old' } : {});
  for (const [term, fact] of facts) details.append(make('dt', term), make('dd', fact));
  item.append(title, details);
  return item;
}

/** A line of the services. */
export function service(name: string, { state, cause, saidAt }: Store, detail: string): HTMLElement {
  const item = make('li', '', { 'data-state': state, 'data-service': name });
  const word = { up: 'up', down: 'down', unknown: 'not known' }[state];
  item.append(make('span', name), make('span', word, { class: 'word' }));
  const known = state === 'unknown' && saidAt > 0 ? `last said at ${clock(saidAt)}` : '';
  const note = cause || known || detail;
  if (note) item.append(make('small', note));
  return item;
}

/** A line of the events. */
export function happening({ at, kind, text }: Happening): HTMLElement {
  const item = make('li', '', { 'data-kind': kind });
  item.append(make('span', text), make('time', clock(at), { datetime: new Date(at).toISOString() }));
  return item;
}

/** A line of the alerts. */
export function alert({ name, severity, summary, since }: Alert): HTMLElement {
  const item = make('li', '', { 'data-kind': severity === 'page' ? 'bad' : 'neutral' });
  item.append(make('span', name), make('time', clock(since)), make('small', summary));
  return item;
}

/** The worst of each ten seconds; a height and a colour. */
export function bars(samples: Sample[]): HTMLElement[] {
  const length = SAMPLES / BARS;
  return Array.from({ length: BARS }, (_, bar) => {
    const end = samples.length - (BARS - 1 - bar) * length;
    const part = samples.slice(Math.max(0, end - length), Math.max(0, end)).map(({ state }) => state);
    const worst = (['unavailable', 'degraded', 'ok'] as const).find((state) => part.includes(state));
    return make('i', '', worst ? { 'data-state': worst } : {});
  });
}

/** The line of an empty list. */
export function none(text: string): HTMLElement {
  const item = make('li', '', { class: 'none' });
  item.append(make('span', text));
  return item;
}
