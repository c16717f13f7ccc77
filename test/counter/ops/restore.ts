/** A database that is lost under load, and comes back by `./stack restore`: to a moment, and to the newest state. */
import { until } from '../../support/faults.ts';
import { docker } from '../../support/stack.ts';
import { CLIENTS, settledCount } from '../chaos/chaos.ts';
import { Load } from '../chaos/load.ts';
import type { Operation } from '../checker.ts';
import type { Site } from './site.ts';

export interface Restored {
  name: string;
  /** To which moment, or undefined. */
  at: string | undefined;
  count: number;
  /** The largest number that was answered before that moment, and how many visits had been sent by then. */
  bounds: [number, number];
  /** Numbers that were given out twice after the restore. */
  duplicates: number;
  seconds: number;
  /** Of the newest state: from the first moment of which something is missing to the loss (seconds). */
  lostS: number | undefined;
}

/** A moment by the clock of Postgres, which stamps its commits, and between which moments of this process it was. */
interface Moment {
  iso: string;
  after: number;
  before: number;
}

async function now(site: Site): Promise<Moment> {
  const after = performance.now();
  const format = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"';
  const iso = await site.stack.sql(`SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', '${format}')`);
  return { iso, after, before: performance.now() };
}

/** What a count may be if it is of this moment. */
export function bounds(
  operations: Operation[],
  { after, before }: Pick<Moment, 'after' | 'before'>,
): [number, number] {
  const answered = operations
    .filter(({ completed }) => completed <= after)
    .map(({ result }) => Number(result ?? 0));
  const sent = operations.filter(({ invoked }) => invoked <= before).length;
  return [answered.reduce((most, number) => Math.max(most, number), 0), sent];
}

async function visit(site: Site): Promise<void> {
  await until(async () => (await fetch(site.stack.address)).ok);
}

/** Waits until the archive has all that was written by now, without a hand that sends it there. */
async function archived(site: Site): Promise<void> {
  const written = await site.stack.sql('SELECT pg_walfile_name(pg_current_wal_lsn())');
  const last = () => site.stack.sql('SELECT last_archived_wal FROM pg_stat_archiver');
  // Twice as long as it may take: WAL_ARCHIVE_TIMEOUT.
  await until(async () => (await last()) >= written, 150_000);
}

/**
 * Takes a base backup under load, loses the volume under load, and restores twice.
 * @param directory for the backup
 */
export async function loseAndRestore(site: Site, directory: string): Promise<Restored[]> {
  await site.does('up');
  await until(async () => (await fetch(`${site.stack.address}/resetcounter`)).ok);
  const load = new Load(site.stack.address, CLIENTS);
  await until(() => load.sent > 1000);
  await site.does('backup', directory);
  const backedUp = load.sent;
  await until(() => load.sent > backedUp + 2000);
  const at = await now(site);
  const then = load.sent;
  await until(() => load.sent > then + 2000);
  await archived(site);
  const [postgres = ''] = await site.stack.containers('postgres');
  await docker('rm', '--force', postgres);
  const lost = performance.now();
  await load.stop();
  // An empty volume, to which nothing leads back but the backup and the archive.
  await docker('volume', 'rm', `${site.stack.project}_data`);
  await site.does('up');
  await visit(site);

  const results: Restored[] = [];
  for (const moment of [at, undefined]) {
    const since = performance.now();
    const time = moment?.iso;
    await site.does('restore', directory, ...(time ? ['--at', time] : []));
    const seconds = (performance.now() - since) / 1000;
    const count = await site.count();
    const missing = load.operations.filter(({ result }) => typeof result === 'number' && result > count);
    const first = Math.min(lost, ...missing.map(({ completed }) => completed));
    const after = new Load(site.stack.address, CLIENTS);
    await until(() => after.sent > 1000);
    await after.stop();
    const numbers = after.operations.map(({ result }) => Number(result)).filter(Number.isFinite);
    // Unique, and above all that the restore brought back.
    const fresh = new Set(numbers.filter((number) => number > count));
    await settledCount(site.stack);
    results.push({
      name: time ? 'to a moment' : 'to the newest state',
      at: time,
      count,
      bounds: bounds(load.operations, moment ?? { after: lost, before: lost }),
      duplicates: numbers.length - fresh.size,
      seconds,
      lostS: time ? undefined : (lost - first) / 1000,
    });
    await site.does('restore', '--confirm');
  }
  return results;
}
