import { expect, it } from 'vitest';
import { takeAlerts } from './alerts.ts';
import { Journal } from './journal.ts';

const message = (status: string, alertname: string) => ({
  alerts: [
    {
      status,
      labels: { alertname, severity: 'page' },
      annotations: { summary: 'words' },
      startsAt: '2026-12-01T00:00:00.000Z',
    },
  ],
});

it('shows an alert from its first word until it is resolved, and tells each once', () => {
  const journal = new Journal(() => 0);
  let alerts = takeAlerts([], message('firing', 'EdgeDown'), journal);
  alerts = takeAlerts(alerts, message('firing', 'EdgeDown'), journal);
  alerts = takeAlerts(alerts, message('firing', 'Latency'), journal);
  expect(alerts).toEqual([
    { name: 'EdgeDown', severity: 'page', summary: 'words', since: Date.parse('2026-12-01') },
    expect.objectContaining({ name: 'Latency' }),
  ]);
  alerts = takeAlerts(alerts, message('resolved', 'EdgeDown'), journal);
  expect(alerts.map(({ name }) => name)).toEqual(['Latency']);
  expect(journal.happenings.map(({ text }) => text)).toEqual([
    'Alert EdgeDown ended',
    'Alert Latency fires',
    'Alert EdgeDown fires',
  ]);
});

it.each([undefined, 'text', {}, { alerts: 'x' }, { alerts: [null, 1, {}] }])(
  'takes %j for no alert',
  (body) => {
    expect(takeAlerts([], body, new Journal(() => 0))).toEqual([]);
  },
);

it('keeps a bound on them', () => {
  let alerts: ReturnType<typeof takeAlerts> = [];
  for (let i = 0; i < 100; i++) alerts = takeAlerts(alerts, message('firing', `A${i}`), new Journal(() => 0));
  expect(alerts).toHaveLength(20);
});
