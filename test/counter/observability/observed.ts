/** The stack of this suite, and how its alerts are read. */
import { inject } from 'vitest';
import { Stack } from '../../support/stack.ts';
import { FILES } from './setup.ts';

const { project, port, settings } = inject('observed');

export { settings };
export const stack = new Stack(project, port, FILES, {
  ...settings,
  CERTIFICATES: `certificate.test:${settings.CERTIFICATE_PORT}`,
});

/** The names of the alerts that fire now, as Prometheus has them. */
export async function firing(): Promise<string[]> {
  const url = `http://127.0.0.1:${settings.PROMETHEUS_PORT}/api/v1/alerts`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(5000) });
  const { data } = (await answer.json()) as {
    data: { alerts: { state: string; labels: Record<string, string> }[] };
  };
  return data.alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname ?? '');
}

export async function container(service: string): Promise<string> {
  const [id] = await stack.containers(service);
  if (id === undefined) throw new Error(`${service} has no container`);
  return id;
}
