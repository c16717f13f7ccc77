/** Every alert is seen firing: its fault is caused on a real stack, and ended. docs/alerts.md has the times. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Heal, until } from '../../support/faults.ts';
import { markdown } from '../../support/markdown.ts';
import * as faults from './faults.ts';
import { active, isScraped, told, Visitors } from './observed.ts';

/** Prometheus looks every 5 s; a busy machine takes longer for everything. */
const LIMIT_MS = 240_000;

type Fault = [name: string, cause: () => Promise<Heal>, ...alerts: string[]];

interface Trial {
  /** Seconds from the fault until the alert fires, and from the fault's end until it does not. */
  fires: number;
  ends: number;
}
const trials = new Map<string, Promise<Trial>>();

const fires = (alert: string) => until(async () => (await active('firing')).includes(alert), LIMIT_MS);
const ends = (alert: string) => until(async () => !(await active('firing')).includes(alert), LIMIT_MS);
/** Until what was before has no part in it. */
const isCalm = (alert: string) =>
  until(async () => !(await active('firing', 'pending')).includes(alert), LIMIT_MS);

/** By the alert and its fault. */
const key = (alert: string, fault: string) => `${alert}: ${fault}`;

/** Causes a fault while none of these alerts fires or is about to, waits until they do, ends it, and waits until they do not. */
function attempt([fault, cause, ...alerts]: Fault): Promise<unknown> {
  const seconds = (since: number) => (performance.now() - since) / 1000;
  let started = 0;
  const caused = (async () => {
    await Promise.all(alerts.map(isCalm));
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
      return { fires: after, ends: seconds(since) };
    })();
    trial.catch(() => {});
    trials.set(key(alert, fault), trial);
  });
  // What may follow: the fault is over.
  return ended.catch(() => {});
}

/**
 * Nothing of a stage touches another of it, nor what is beside it. Each begins when the faults before it are over; some of their alerts
 * fire on.
 */
const PLAN: { stages: Fault[][]; beside: Fault[] }[] = [
  {
    stages: [
      [
        // It takes three minutes to end.
        ['three crashes of a container of web', faults.crashThrice, 'ReplicasRestarting'],
        ['the row is locked for 2 s at a time', faults.holdRow, 'Latency'],
        // Not while the disk is nearly full.
        ['the only backup is a day and a half old; one is made', faults.oldBackup, 'BackupOld'],
        ['a fifth of a lifetime is left; a new certificate', faults.expire, 'CertificateExpiring'],
      ],
      [['a deploy of an image that does not start', faults.deployBroken, 'DeployWentBack']],
    ],
    beside: [['the archive command hangs', faults.hangArchive, 'ArchiveFailing']],
  },
  {
    stages: [
      [['Postgres is paused', pausePostgres, 'CannotCount', 'EdgeErrors', 'MonitoringDown']],
      [['what followed from it is over', isOver]],
      [['2,500 requests at once, Postgres paused', faults.fillPending, 'PendingHigh']],
    ],
    beside: [['a certificate of another name; the right one', faults.showPlaceholder, 'CertificateMissing']],
  },
  {
    stages: [
      [
        ['NGINX is paused', () => faults.pauseService('nginx'), 'EdgeDown'],
        ['one replica of three reaches neither store', faults.cutOff, 'ReplicasMissing'],
      ],
      [
        ['Redis stops', () => faults.stop('redis'), 'Degraded', 'BreakerOpen'],
        ['a container of web stops', () => faults.stop('web'), 'ReplicasMissing'],
        ['80 sessions more', faults.takeConnections, 'PostgresConnections'],
        ['92 % of the disk are taken', faults.fillDisk, 'DiskFilling'],
      ],
    ],
    beside: [['the archive may not be written', faults.closeArchive, 'ArchiveFailing']],
  },
];
const PAIRS = PLAN.flatMap(({ stages, beside }) => [...stages.flat(), ...beside]).flatMap(
  ([fault, , ...alerts]) => alerts.map((alert) => [alert, fault] as const),
);

/** Without the counter these fire too. */
const FOLLOW = ['ReplicasMissing', 'EdgeErrors'];

/** What was sent from when no replica could count until all could again. */
let sent: Promise<Set<string>> | undefined;

/** Paused until Prometheus has the alert that is not sent. */
async function pausePostgres(): Promise<Heal> {
  await until(async () => !(await told()).some((name) => FOLLOW.includes(name)), LIMIT_MS);
  const resume = await faults.pauseService('postgres');
  const inhibited = fires('ReplicasMissing');
  sent = (async () => {
    const names = new Set<string>();
    const tell = async () => {
      for (const name of await told()) names.add(name);
    };
    await inhibited;
    while ((await active('firing')).some((name) => ['CannotCount', ...FOLLOW].includes(name)))
      await tell().catch(() => {});
    return names;
  })();
  sent.catch(() => {});
  return async () => {
    await inhibited.catch(() => {});
    await resume();
  };
}

/** No fault: what comes next is to begin when Postgres's pause has no part in it. */
async function isOver(): Promise<Heal> {
  await sent;
  return async () => {};
}

let visitors: Visitors;
let lanes: Promise<unknown>;
beforeAll(async () => {
  await until(isScraped, 120_000);
  // Without any there would be no latency and no errors.
  visitors = new Visitors();
  lanes = (async () => {
    for (const { stages, beside } of PLAN) {
      const others = Promise.all(beside.map(attempt));
      for (const stage of stages) await Promise.all(stage.map(attempt));
      await others;
    }
  })();
});
afterAll(async () => {
  await lanes;
  visitors.stop();
  const rows = await Promise.all(
    PAIRS.map(async ([alert, fault]) => {
      const trial = await trials.get(key(alert, fault))?.catch(() => undefined);
      return [alert, fault, trial?.fires.toFixed(0) ?? 'not seen', trial?.ends.toFixed(0) ?? 'not seen'];
    }),
  );
  console.log(markdown(['alert', 'fault', 'fires after (s)', 'ends after (s)'], rows));
});

it.each(PAIRS)('%s fires while its fault lasts, and ends with it: %s', async (alert, fault) => {
  await until(() => trials.has(key(alert, fault)), 480_000);
  const trial = await trials.get(key(alert, fault));
  expect(trial?.fires).toBeGreaterThan(0);
});

it.each(FOLLOW)('%s is not sent while no replica can count, nor while they come back', async (follows) => {
  await until(() => sent !== undefined, 480_000);
  const names = await sent;
  expect(names).toContain('CannotCount');
  expect(names).not.toContain(follows);
});
