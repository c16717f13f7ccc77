/** Every alert is seen firing: its fault is caused on a real stack, and ended. docs/alerts.md has the times. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Heal, until } from '../../support/faults.ts';
import { markdown } from '../../support/markdown.ts';
import * as faults from './faults.ts';
import { firing, isScraped, Visitors } from './observed.ts';

/** Prometheus looks every 5 s; a busy machine takes longer for everything. */
const LIMIT_MS = 240_000;

interface Trial {
  fault: string;
  /** Seconds from the fault until the alert fires, and from the fault's end until it does not. */
  fires: number;
  ends: number;
}
const trials = new Map<string, Promise<Trial>>();

const fires = (alert: string) => until(async () => (await firing()).includes(alert), LIMIT_MS);
const ends = (alert: string) => until(async () => !(await firing()).includes(alert), LIMIT_MS);

/** Causes a fault while none of these alerts fires, waits until they do, ends it, and waits until they do not. */
function attempt(fault: string, cause: () => Promise<Heal>, ...alerts: string[]): Promise<unknown> {
  const seconds = (since: number) => (performance.now() - since) / 1000;
  let started = 0;
  const caused = (async () => {
    await Promise.all(alerts.map(ends));
    started = performance.now();
    return cause();
  })();
  const fired = alerts.map(async (alert) => {
    await until(() => started > 0, LIMIT_MS);
    await fires(alert);
    return seconds(started);
  });
  const ended = (async () => {
    // A fault whose alert never came has to end all the same.
    const heal = await caused;
    await Promise.allSettled(fired);
    const since = performance.now();
    await heal();
    return since;
  })();
  alerts.forEach((alert, index) => {
    const trial = (async () => {
      const after = (await fired[index]) ?? 0;
      const since = await ended;
      await ends(alert);
      return { fault, fires: after, ends: seconds(since) };
    })();
    trial.catch(() => {});
    trials.set(alert, trial);
  });
  // What may follow: the fault is over.
  return ended.catch(() => {});
}

let visitors: Visitors;
let lane: Promise<unknown>;
beforeAll(async () => {
  await until(isScraped, 120_000);
  // Without any there would be no latency and no errors.
  visitors = new Visitors();
  // Nothing of these touches another.
  attempt('a quarter of a lifetime is left; a new certificate', faults.expire, 'CertificateExpiring');
  lane = (async () => {
    // Those that take a minute or more to end come first.
    await Promise.all([
      attempt('three crashes of a container of web', faults.crashThrice, 'ReplicasRestarting'),
      attempt('the row is locked for 2 s at a time', faults.holdRow, 'Latency'),
      // Not while the disk is nearly full.
      attempt('the only backup is a day and a half old; one is made', faults.oldBackup, 'BackupOld'),
    ]);
    await attempt('the archive may not be written', faults.closeArchive, 'ArchiveFailing');
    await Promise.all([
      attempt('Redis stops', () => faults.stop('redis'), 'Degraded', 'BreakerOpen'),
      attempt('a container of web stops', () => faults.stop('web'), 'ReplicasMissing'),
      attempt('75 sessions more', faults.takeConnections, 'PostgresConnections'),
      attempt('92 % of the disk are taken', faults.fillDisk, 'DiskFilling'),
    ]);
    await attempt('NGINX is paused', () => faults.pauseService('nginx'), 'EdgeDown');
    await attempt(
      'Postgres is paused',
      () => faults.pauseService('postgres'),
      'CannotCount',
      'EdgeErrors',
      'MonitoringDown',
    );
    await attempt('2,500 requests at once, Postgres paused', faults.fillPending, 'PendingHigh');
    await attempt('a deploy of an image that does not start', faults.deployBroken, 'DeployWentBack');
  })();
});
afterAll(async () => {
  await lane;
  visitors.stop();
  const rows = await Promise.all(
    [...trials].map(async ([alert, trial]) => {
      const { fault, fires, ends } = await trial.catch(() => ({
        fault: 'not seen',
        fires: Number.NaN,
        ends: Number.NaN,
      }));
      return [alert, fault, fires.toFixed(0), ends.toFixed(0)];
    }),
  );
  console.log(markdown(['alert', 'fault', 'fires after (s)', 'ends after (s)'], rows));
});

const ALERTS = [
  ...['BackupOld', 'CertificateExpiring', 'ReplicasRestarting', 'ArchiveFailing', 'Degraded', 'BreakerOpen'],
  ...['ReplicasMissing', 'PostgresConnections', 'DiskFilling', 'EdgeDown', 'CannotCount', 'EdgeErrors'],
  ...['MonitoringDown', 'PendingHigh', 'Latency', 'DeployWentBack'],
];

it.each(ALERTS)('%s fires while its fault lasts, and ends with it', async (alert) => {
  await until(() => trials.has(alert), 480_000);
  const trial = await trials.get(alert);
  expect(trial?.fires).toBeGreaterThan(0);
});
