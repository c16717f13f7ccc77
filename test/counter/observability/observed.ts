/** The stack of this suite, and how its alerts are read. */
import { inject } from 'vitest';
import type { Snapshot } from '../../../web/src/counter/status/snapshot.ts';
import { Stack } from '../../support/stack.ts';
import { FILES } from './setup.ts';

const { project, port, settings } = inject('observed');

export { settings };
export const stack = new Stack(project, port, FILES, {
  ...settings,
  CERTIFICATES: `certificate.test:${settings.CERTIFICATE_PORT}`,
});

/** What Prometheus's API answers. */
async function prometheus<T>(path: string): Promise<T> {
  const url = `http://127.0.0.1:${settings.PROMETHEUS_PORT}/api/v1/${path}`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(5000) });
  return ((await answer.json()) as { data: T }).data;
}

/** The names of the alerts that fire now, or are about to. */
export async function active(...states: ('firing' | 'pending')[]): Promise<string[]> {
  const { alerts } = await prometheus<{ alerts: { state: string; labels: Record<string, string> }[] }>(
    'alerts',
  );
  return alerts
    .filter(({ state }) => states.some((each) => each === state))
    .map(({ labels }) => labels.alertname ?? '');
}

/** The names of the alerts that Alertmanager has sent, and whose end it has not: those of the status page. */
export async function told(): Promise<string[]> {
  const answer = await fetch(`${stack.address}/status/events`, { signal: AbortSignal.timeout(5000) });
  let text = '';
  // A stream without an end: what is said first is enough.
  for await (const piece of (answer.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    text += piece;
    const now = /^event: now\ndata: (.*)\n\n/m.exec(text)?.[1];
    if (now) return (JSON.parse(now) as Snapshot).alerts.map(({ name }) => name);
  }
  throw new Error('the status page says nothing');
}

/** Has Prometheus asked each of these, three replicas included? What it never saw cannot rise. */
export async function isScraped(): Promise<boolean> {
  const { activeTargets } = await prometheus<{ activeTargets: { health: string }[] }>('targets');
  return activeTargets.length === 6 && activeTargets.every(({ health }) => health === 'up');
}

/** Visitors at a steady rate, whatever the answers are: enough for an alert about many, too few to keep the machine busy. */
export class Visitors {
  #underWay = 0;
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => this.#visit(), 25);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #visit(): void {
    if (this.#underWay >= 200) return;
    this.#underWay++;
    fetch(stack.address, { signal: AbortSignal.timeout(10_000) })
      .then((response) => response.text())
      .catch(() => {})
      .finally(() => {
        this.#underWay--;
      });
  }
}

export async function container(service: string): Promise<string> {
  const [id] = await stack.containers(service);
  if (id === undefined) throw new Error(`${service} has no container`);
  return id;
}
