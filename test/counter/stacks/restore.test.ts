/** Backups, the archive of WAL, and the ways back. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ended } from '../../support/checkout.ts';
import { until } from '../../support/faults.ts';
import { loseAndRestore } from '../ops/restore.ts';
import { Site } from '../ops/site.ts';

let site: Site;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'backups-'));
  site = await Site.start('restore-test', {
    COMPOSE_FILE: 'docker-compose.yml:compose/backup.yml',
    WAL_ARCHIVE_TIMEOUT: '2',
    BACKUP_KEEP: '2',
  });
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const archive = async () => (await site.inPostgres('ls "$ARCHIVE"')).split('\n').filter(Boolean);
const newest = async (kind: string) => {
  const files = (await readdir(directory)).filter((file) => file.startsWith(kind)).toSorted();
  return join(directory, files.at(-1) ?? '');
};

it('brings back a volume that was lost under load, to a moment and to the newest state', async () => {
  const [moment, latest] = await loseAndRestore(site, directory);
  for (const { count, bounds, duplicates } of [moment, latest].filter((one) => one !== undefined)) {
    expect(duplicates).toBe(0);
    expect(count).toBeLessThanOrEqual(bounds[1]);
  }
  expect(moment?.count).toBeGreaterThanOrEqual(moment?.bounds[0] ?? Number.NaN);
  // What was not in the archive yet is lost with the volume: WAL_ARCHIVE_TIMEOUT, and a machine that is busy.
  expect(latest?.lostS).toBeLessThan(30);
  expect(latest?.count).toBeGreaterThan(moment?.count ?? Number.NaN);
});

it('keeps what a restore replaced until it is confirmed, and puts it back', async () => {
  await site.does('backup', directory);
  const backedUp = await site.count();
  for (let visits = 0; visits < 3; visits++) await site.visit();
  const before = await site.count();
  expect(before).toBe(backedUp + 3);

  // A server that is down is restored too.
  await site.stack.compose('stop', 'postgres');
  await site.does('restore', await newest('base'));
  expect(await site.refuses('restore', directory)).toContain('an earlier restore still waits for its end');
  await site.does('restore', '--undo');
  expect(await site.count()).toBe(before);
  await site.does('restore', '--confirm');
  expect(await site.refuses('restore', '--undo')).toContain('there is nothing to go back to');
  expect(await site.visit()).toBe(before + 1);
});

it('brings back a dump, in a new epoch', async () => {
  await site.does('backup', '--dump', directory);
  const [dumped, epoch] = [await site.count(), Number(await site.stack.sql('SELECT epoch FROM visitors'))];
  await site.visit();
  expect(await site.refuses('restore', await newest('dump'), '--at', '2026-01-01T00:00:00Z')).toContain(
    'one moment alone',
  );
  await site.does('restore', await newest('dump'));
  expect(await site.count()).toBe(dumped);
  expect(Number(await site.stack.sql('SELECT epoch FROM visitors'))).toBeGreaterThan(epoch);
  expect(await site.visit()).toBe(dumped + 1);
  // What the application's role must not do, it still must not.
  expect(await site.stack.sqlAsApplication('CREATE TEMPORARY TABLE t (i int)')).toContain(
    'permission denied',
  );
  expect(await site.stack.sqlAsApplication('DELETE FROM visitors')).toContain('permission denied');
  await site.does('restore', '--confirm');
});

it.each([
  [
    'a base backup that was cut off',
    'base-cut.tar.gz',
    (whole: Buffer) => whole.subarray(0, whole.length / 2),
    'it is not whole',
  ],
  ['a base backup with one byte changed', 'base-bad.tar.gz', flipped, 'it is not whole'],
  ['a dump that was cut off', 'dump-cut.sql.gz', () => gzipSync('CREATE TABLE t ();\n'), 'it is not whole'],
  [
    'a dump of another application',
    'dump-foreign.sql.gz',
    () => gzipSync('CREATE TABLE t ();\n-- whole\n'),
    'it is of another application',
  ],
  [
    'a dump that a newer Postgres wrote',
    'dump-new.sql.gz',
    () => gzipSync('SET not_yet = 1;\n-- whole\n'),
    'cannot read it',
  ],
  [
    'an archive of something else',
    'other.tar.gz',
    () => gzipSync(Buffer.alloc(10_240)),
    'it is no base backup',
  ],
  ['a file that is no backup', 'other.zip', () => Buffer.from('PK'), 'is no backup'],
])('refuses %s, and changes nothing', async (_what, name, make, words) => {
  const file = join(directory, name);
  await writeFile(file, make(await readFile(await newest('base-2'))));
  const before = await site.visit();
  expect(await site.refuses('restore', file)).toContain(words);
  expect(await site.visit()).toBe(before + 1);
  expect(await site.inPostgres('ls /var/lib/postgresql')).toBe('18\n');
});

/** A byte of the data, in the middle of what is unpacked. */
function flipped(whole: Buffer): Buffer {
  const data = gunzipSync(whole);
  const middle = data.length >> 1;
  data.writeUInt8(data.readUInt8(middle) ^ 1, middle);
  return gzipSync(data);
}

it.each([
  ['before the first backup', '2020-01-01T00:00:00Z', /no backup in .* is from before 2020/],
  ['after the last change', '2099-01-01T00:00:00Z', /the last change in the archive is of 2\d{3}-/],
  ['that is no time', 'yesterday', /'yesterday' is no time/],
])('refuses a moment %s, and changes nothing', async (_what, time, words) => {
  const before = await site.visit();
  expect(await site.refuses('restore', directory, '--at', time)).toMatch(words);
  expect(await site.visit()).toBe(before + 1);
  expect(await site.inPostgres('ls /var/lib/postgresql')).toBe('18\n');
});

it('removes old backups, and the WAL that none of the kept ones needs', async () => {
  const segments = async () => (await archive()).filter((name) => /^[0-9A-F]{24}\.gz$/.test(name));
  const before = await segments();
  for (let backups = 0; backups < 3; backups++) await site.does('backup', directory);
  expect((await readdir(directory)).filter((file) => /^base-2.*gz$/.test(file))).toHaveLength(2);
  // The note of a backup reaches the archive with the next segment.
  await site.inPostgres('restore.sh flush');
  await site.does('backup', directory);
  expect(before).not.toEqual([]);
  expect((await segments()).filter((name) => before.includes(name))).toEqual([]);
  expect(await site.does('restore', directory)).toContain('was restored');
  await site.does('restore', '--confirm');
});

it('loses no WAL while the archive is away, not even if Postgres restarts, and says how much waits', async () => {
  await site.inPostgres('chmod 0500 "$ARCHIVE"');
  const since = new Date().toISOString();
  const started = (await archive()).length;
  for (let segments = 0; segments < 3; segments++) {
    await site.visit();
    await site.stack.sql('SELECT pg_switch_wal()');
  }
  const log = () => site.stack.compose('logs', '--since', since, 'postgres');
  await until(async () => /the archive of WAL fails: .*3 segments wait, 48 MB/.test(await log()));
  await site.stack.compose('restart', 'postgres');
  await site.stack.sql('CHECKPOINT').catch(() => {});
  await site.inPostgres('chmod 0700 "$ARCHIVE"');
  await until(async () => (await archive()).length >= started + 3, 90_000);
  const before = await site.visit();
  await site.does('restore', directory);
  expect(await site.count()).toBe(before);
  await site.does('restore', '--confirm');
});

it('writes no backup that is not whole', async () => {
  const files = (await readdir(directory)).length;
  const full = await ended(
    'sh',
    ['-c', 'ulimit -f 100 && exec ./stack backup "$0"', directory],
    site.path,
    site.env,
  );
  expect(full.code).toBe(1);
  expect(full.stderr).toContain('no backup was written');
  expect(await readdir(directory)).toHaveLength(files);
  await site.stack.compose('stop', 'postgres');
  expect(await site.refuses('backup', directory)).toContain('no backup was written: Postgres does not run');
  await site.stack.startPostgres();
});

it('copies as a role that can change nothing', async () => {
  const as = (sql: string) => site.inPostgres(`psql --username stack_backup -Atc "${sql}" 2>&1 || true`);
  expect(await as('UPDATE visitors SET visitor_count = 0')).toContain('permission denied');
  expect(await as('CREATE TABLE t ()')).toContain('permission denied');
  expect(await as("COPY visitors TO PROGRAM 'id'")).toContain('permission denied');
  expect(await as('SELECT count(*) FROM visitors')).toBe('1\n');
  // Its password is in no volume and in no setting.
  expect(await site.inPostgres('ls -l /tmp/pgpass /tmp/backup-password')).toMatch(/^(-rw------- .*\n){2}$/);
});
