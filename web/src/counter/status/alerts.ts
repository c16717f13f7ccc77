import type { Journal } from './journal.ts';
import type { Alert } from './snapshot.ts';

/** More are not shown. */
const MOST = 20;

const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, 300) : '');
const fields = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? { ...value } : {};

/**
 * Takes what Alertmanager sends (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config) into the alerts that are
 * shown: a message holds those of one group, and names the ones that ended.
 */
export function takeAlerts(alerts: Alert[], message: unknown, journal: Journal): Alert[] {
  const list = fields(message).alerts;
  const kept = new Map(alerts.map((alert) => [alert.name, alert]));
  for (const each of Array.isArray(list) ? list.slice(0, MOST) : []) {
    const { status, labels, annotations, startsAt } = fields(each);
    const { alertname, severity } = fields(labels);
    const name = text(alertname);
    if (status === 'resolved') {
      if (kept.delete(name)) journal.add('good', `Alert ${name} ended`);
    } else if (name) {
      if (!kept.has(name)) journal.add('bad', `Alert ${name} fires`);
      const since = Date.parse(text(startsAt));
      kept.set(name, { name, severity: text(severity), summary: text(fields(annotations).summary), since });
    }
  }
  return [...kept.values()].slice(0, MOST);
}
