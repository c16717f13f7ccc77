import { beforeEach, describe, expect, it } from 'vitest';
import { Exposition } from './exposition.ts';
import { Journal } from './journal.ts';
import { Replicas } from './replicas.ts';

let now: number;
let journal: Journal;
let replicas: Replicas;
beforeEach(() => {
  now = 1_000_000;
  journal = new Journal(() => now);
  replicas = new Replicas(journal, () => now);
});

/** What a replica's /metrics says. */
function says(host: string, { started = 500, status = 'ok', epochs = 0, visits = 0 } = {}) {
  const metrics = new Exposition(
    [
      `app_info{host="${host}"} 1`,
      `process_start_time_seconds ${started}`,
      ...['ok', 'degraded', 'unavailable'].map((s) => `app_status{status="${s}"} ${s === status ? 1 : 0}`),
      `counter_epochs_total{cause="fail_over"} ${epochs}`,
      `counter_visits_total ${visits}`,
      'counter_epoch 42',
    ].join('\n'),
  );
  return { metrics, redis: 'up', postgres: 'up' };
}
const states = () => replicas.all.map(({ id, state }) => `${id} ${state}`);
const news = () => journal.happenings.map(({ text }) => text);

describe('a replica', () => {
  it('is new, and shows what it says', () => {
    replicas.hear('10.0.0.1', says('a', { status: 'degraded' }));
    expect(replicas.all).toMatchObject([{ id: 'a', state: 'degraded', epoch: 42, startedAt: 500_000 }]);
    expect(news()).toEqual(['Replica a is new']);
  });

  it('is silent after 1.5 s without an answer, and at once if it breaks off', () => {
    replicas.hear('10.0.0.1', says('a'));
    replicas.hear('10.0.0.2', says('b'));
    now += 1500;
    replicas.check(['10.0.0.1', '10.0.0.2']);
    expect(states()).toEqual(['a ok', 'b ok']);
    replicas.miss('10.0.0.2');
    expect(states()).toEqual(['a ok', 'b silent']);
    now += 1;
    replicas.check(['10.0.0.1', '10.0.0.2']);
    expect(states()).toEqual(['a silent', 'b silent']);
  });

  it('is gone when Docker does not list it any more, and not while Docker does not tell', () => {
    replicas.hear('10.0.0.1', says('a'));
    replicas.miss('10.0.0.1');
    replicas.check(undefined);
    expect(states()).toEqual(['a silent']);
    replicas.check([]);
    expect(states()).toEqual(['a gone']);
    expect(news()[0]).toBe('Replica a is gone');
  });

  it('that answers is not gone, though Docker does not list it yet', () => {
    replicas.hear('10.0.0.1', says('a'));
    replicas.check([]);
    expect(states()).toEqual(['a ok']);
  });

  it('that went is shown for ten minutes, and then forgotten', () => {
    replicas.hear('10.0.0.1', says('a'));
    replicas.miss('10.0.0.1');
    replicas.check([]);
    now += 600_001;
    replicas.check([]);
    expect(states()).toEqual([]);
  });

  it('that another takes the address of is gone', () => {
    replicas.hear('10.0.0.1', says('a'));
    replicas.hear('10.0.0.1', says('b'));
    expect(states()).toEqual(['b ok', 'a gone']);
  });

  it('that comes back is told, and whether its process is another', () => {
    replicas.hear('10.0.0.1', says('a'));
    replicas.miss('10.0.0.1');
    replicas.hear('10.0.0.1', says('a'));
    expect([news()[0], replicas.restarts]).toEqual(['Replica a answers again', 0]);
    replicas.hear('10.0.0.1', says('a', { started: 900 }));
    expect([news()[0], replicas.restarts]).toEqual(['Replica a was restarted', 1]);
  });

  it('that failed over before it was first heard is no news; after, it is', () => {
    replicas.hear('10.0.0.1', says('a', { epochs: 3 }));
    expect(news()).toEqual(['Replica a is new']);
    replicas.hear('10.0.0.1', says('a', { epochs: 4 }));
    expect(news()[0]).toBe('Replica a failed over: Postgres is the sequencer');
  });
});

it('counts visits between two looks, and none twice when a replica starts anew', () => {
  replicas.hear('10.0.0.1', says('a', { visits: 1000 }));
  expect(replicas.take().visits).toBe(0);
  replicas.hear('10.0.0.1', says('a', { visits: 1007 }));
  replicas.hear('10.0.0.1', says('a', { visits: 1010 }));
  expect(replicas.take().visits).toBe(10);
  replicas.hear('10.0.0.1', says('a', { visits: 4, started: 900 }));
  expect(replicas.take().visits).toBe(4);
});

it('forgets the first of those that went, if a crash follows a crash', () => {
  for (let i = 0; i < 30; i++) {
    now += 1000;
    replicas.hear('10.0.0.1', says(`replica${i}`));
  }
  expect(states()).toHaveLength(10);
  expect(states()).toContain('replica28 gone');
  expect(journal.happenings.length).toBeLessThanOrEqual(50);
});
