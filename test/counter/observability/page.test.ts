/** The status page, read in a browser while what it shows is broken. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { crash, pause, until } from '../../support/faults.ts';
import { docker } from '../../support/stack.ts';
import { Viewer } from './browser.ts';
import { container, settings, stack, Visitors } from './observed.ts';

/** On a machine that is busy; the page's own words for it are two seconds. */
const LIMIT_MS = 30_000;

let viewer: Viewer;
let visitors: Visitors;
beforeAll(async () => {
  await until(() => stack.isReady(), 60_000);
  visitors = new Visitors();
  viewer = await Viewer.open();
});
afterAll(async () => {
  await viewer?.[Symbol.asyncDispose]();
  visitors?.stop();
});

const verdict = () => viewer.text('#verdict-text');
const events = () => viewer.text('#events');
const shows = (read: () => Promise<string>, text: string | RegExp) =>
  expect.poll(read, { timeout: LIMIT_MS, interval: 50 }).toMatch(text);
const wellAgain = () => shows(verdict, 'All is well');
const short = (id: string) => id.slice(0, 12);

/** How long the page takes to show something (s), which a fault brought about. */
async function seconds(since: number, read: () => Promise<string>, text: string | RegExp): Promise<string> {
  await shows(read, text);
  return ((performance.now() - since) / 1000).toFixed(1);
}

it('shows each replica, the count as it grows, the services and a chart', async () => {
  await wellAgain();
  expect(Object.values(await viewer.replicas()).filter((state) => state === 'ok')).toHaveLength(3);
  const before = Number((await viewer.text('#count')).replaceAll(',', ''));
  await shows(async () => String(Number((await viewer.text('#count')).replaceAll(',', '')) > before), 'true');
  await shows(() => viewer.text('#visits'), /^[1-9]/);
  expect(await viewer.text('#stores')).toMatch(
    /NGINX\s+up\s+Redis\s+up\s+gives out the numbers\s+Postgres\s+up/,
  );
  expect(await viewer.page.locator('#chart canvas').count()).toBe(1);
});

it('has no violation that axe-core finds: light, dark and on a phone', async () => {
  await viewer.shoot('light');
  expect(await viewer.violations()).toEqual([]);
  for (const [name, look] of [
    ['dark', { colorScheme: 'dark' }],
    ['phone', { width: 390 }],
  ] as const) {
    await using other = await Viewer.open(look);
    await other.page.locator('#events time').first().waitFor();
    await other.shoot(name);
    expect(await other.violations()).toEqual([]);
    expect(await other.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
  }
});

it('shows that Redis is away, who gives out the numbers then, and that it is back', async ({ annotate }) => {
  const redis = await container('redis');
  const since = performance.now();
  await docker('stop', '--timeout', '0', redis);
  const after = await seconds(since, verdict, 'Degraded, still counting');
  await shows(events, 'failed over: Postgres is the sequencer');
  await shows(() => viewer.text('[data-service=Redis]'), /Redis\s+down\s+\S/);
  await shows(() => viewer.text('#count-note'), 'Postgres gives out the numbers');
  await viewer.shoot('fail-over');
  expect(await viewer.violations()).toEqual([]);
  await docker('start', redis);
  await wellAgain();
  await shows(events, 'failed back: Redis is the sequencer');
  await annotate(`Redis stops: shown after ${after} s`, 'figure');
});

it('shows a replica that is silent, one that was restarted, and one that is gone', async ({ annotate }) => {
  const [first = '', second = '', third = ''] = await stack.containers('web');
  let since = performance.now();
  const resume = await pause(first);
  const state = async (id: string) => (await viewer.replicas())[short(id)] ?? 'not shown';
  const silent = await seconds(since, () => state(first), 'silent');
  expect(await viewer.text(`[data-id="${short(first)}"]`)).toMatch(/last said\s+\d\d:\d\d:\d\d, \d+ s ago/);
  await resume();
  await shows(() => state(first), 'ok');

  await crash(second);
  await shows(events, `Replica ${short(second)} was restarted`);
  await shows(() => state(second), 'ok');

  since = performance.now();
  await docker('stop', '--timeout', '0', third);
  const gone = await seconds(since, () => state(third), 'gone');
  await shows(events, `Replica ${short(third)} is gone`);
  expect(await viewer.violations()).toEqual([]);
  await docker('start', third);
  await wellAgain();
  await annotate(
    `a replica that is paused is silent after ${silent} s, one that is stopped is gone after ${gone} s`,
    'figure',
  );
});

it('shows that nothing can be counted, and of when the count is', async ({ annotate }) => {
  const since = performance.now();
  const resume = await pause(await container('postgres'));
  const after = await seconds(since, verdict, 'Cannot count');
  await shows(() => viewer.text('#count-note'), /^last said at \d\d:\d\d:\d\d$/);
  await shows(() => viewer.text('[data-service=Postgres]'), /Postgres\s+down\s+\S/);
  expect(await viewer.violations()).toEqual([]);
  await resume();
  await wellAgain();
  await annotate(`Postgres is paused: shown after ${after} s`, 'figure');
});

it('marks all as old while nothing is heard, and says since when', async () => {
  const resume = await pause(await container('status'));
  await shows(verdict, 'Not known');
  await shows(() => viewer.text('#stale'), /^Nothing was heard since \d\d:\d\d:\d\d/);
  expect(await viewer.violations()).toEqual([]);
  await resume();
  await wellAgain();
  expect(await viewer.page.locator('#stale').isVisible()).toBe(false);
});

it('comes back by itself when the status container was replaced, or NGINX', async () => {
  for (const service of ['status', 'nginx']) {
    const id = await container(service);
    // NGINX would wait for the stream of the page.
    await docker('stop', '--timeout', '3', id);
    await shows(() => viewer.text('#fresh'), 'Last heard at');
    await docker('start', id);
    await wellAgain();
  }
});

it('shows a reset, and an alert that Alertmanager sends', async () => {
  await fetch(`${stack.address}/resetcounter`);
  await shows(events, 'reset the count');
  const alert = {
    labels: { alertname: 'Drill', severity: 'page' },
    annotations: { summary: 'only a drill' },
  };
  const post = (endsAt: Date) =>
    fetch(`http://127.0.0.1:${settings.ALERTMANAGER_PORT}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify([{ ...alert, endsAt }]),
    });
  await post(new Date(Date.now() + 600_000));
  await shows(() => viewer.text('#alerts'), /Drill\s+\d\d:\d\d:\d\d\s+only a drill/);
  await post(new Date());
  await shows(events, 'Alert Drill ended');
});

it('is not shown to whom the reset is refused', async () => {
  // By a proxy that is not named: it says nothing of its client.
  for (const path of ['/status', '/status/events', '/status/page.js']) {
    const { status } = await fetch(stack.address + path, { headers: { Via: '1.1 proxy' } });
    expect([path, status]).toEqual([path, 403]);
  }
  for (const path of ['/metrics', '/alerts', '/deploys/done']) {
    expect([path, (await fetch(stack.address + path)).status]).toEqual([path, 404]);
  }
});

it('has made Chromium complain of nothing', () => expect(viewer.complaints).toEqual([]));
