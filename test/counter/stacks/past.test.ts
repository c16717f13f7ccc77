/** Restores after restores, and restores that are cut off: which past comes back. */
import { mkdir, mkdtemp, readdir, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { ended } from '../../support/checkout.ts';
import { until } from '../../support/faults.ts';
import { docker } from '../../support/stack.ts';
import { Site } from '../ops/site.ts';

let site: Site;
let directory: string;

beforeAll(async () => {
  site = await Site.start('past-test', {
    COMPOSE_FILE: 'docker-compose.yml:compose/backup.yml',
    WAL_ARCHIVE_TIMEOUT: '1',
    BACKUP_KEEP: '3',
  });
});
afterAll(() => site[Symbol.asyncDispose]());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), `it's a "folder" *-`));
  return () => rm(directory, { recursive: true });
});

const backups = async () => (await readdir(directory)).toSorted().map((file) => join(directory, file));
async function restore(...args: string[]): Promise<void> {
  await site.does('restore', ...args);
  await site.does('restore', '--confirm');
}
/** A moment between two changes, of a second in which no backup began. */
async function moment(): Promise<string> {
  const start = Date.now();
  await until(() => Date.now() > start + 1000);
  const now = Date.now();
  await until(() => Date.now() > now + 1000);
  return new Date(now).toISOString();
}

it('follows the past that was chosen, not a newer backup of the one that was given up', async () => {
  await site.does('backup', directory);
  await site.visit();
  const chosen = await moment();
  const kept = await site.count();
  await site.visit();
  const givenUp = await moment();
  await site.visit();
  await site.does('backup', directory);
  await restore(directory, '--at', chosen);
  expect(await site.count()).toBe(kept);
  await site.visit();
  await restore(directory);
  expect(await site.count()).toBe(kept + 1);
  expect(await site.refuses('restore', directory, '--at', givenUp)).toContain(
    'was given up by the restore of',
  );
  // By its name, the other past is still there.
  const [, other = ''] = await backups();
  await site.does('restore', other);
  expect(await site.count()).toBe(kept + 2);
  await site.does('restore', '--undo');
  await site.does('restore', '--confirm');
  expect(await site.count()).toBe(kept + 1);

  // The WAL of the newer past has lower numbers than that of the older one, and stays.
  await site.does('backup', directory);
  await site.visit();
  const later = await moment();
  await site.visit();
  await site.does('backup', directory);
  await restore(directory, '--at', later);
  expect(await site.count()).toBe(kept + 2);
});

it('takes no backup that began after the moment, in the same second', async () => {
  await site.does('backup', directory);
  const kept = await site.visit();
  const chosen = await moment();
  await site.visit();
  await site.does('backup', directory);
  const [, later = ''] = await backups();
  await rename(later, join(directory, `base-${chosen.replaceAll(/[-:]|\..*/g, '')}Z.tar.gz`));
  await restore(directory, '--at', chosen);
  expect(await site.count()).toBe(kept);
});

it('refuses an archive that lacks something in between', async () => {
  await site.does('backup', directory);
  for (let segments = 0; segments < 3; segments++) {
    await site.visit();
    await site.inPostgres('restore.sh flush');
  }
  const before = await site.visit();
  const [, , last] = (await site.inPostgres('ls -t "$ARCHIVE" | grep -E "^[0-9A-F]{24}.gz$"')).split('\n');
  await site.inPostgres(`mv "$ARCHIVE/${last}" /archive/`);
  expect(await site.refuses('restore', directory)).toContain('has a hole');
  expect(await site.count()).toBe(before);
  await site.inPostgres(`mv "/archive/${last}" "$ARCHIVE/"`);
  await restore(directory);
  expect(await site.count()).toBe(before);
});

it('says that another database writes the same archive, and goes on after the command that it names', async () => {
  await site.inPostgres(`name=$(psql -Atc 'SELECT pg_walfile_name(pg_current_wal_lsn())')
    echo other | gzip > "$ARCHIVE/$name.gz" && psql -c 'SELECT pg_switch_wal()'`);
  let command = '';
  await until(async () => {
    const log = await site.stack.compose('logs', '--no-log-prefix', 'postgres');
    [, command = ''] = /holds something else: .* exec postgres (mv \S+ \S+) && /.exec(log) ?? [];
    return command !== '';
  });
  await site.inPostgres(command);
  await site.does('backup', directory);
  const before = await site.visit();
  await restore(directory);
  expect(await site.count()).toBe(before);
});

it('refuses a backup that leads into an archive which the stack does not have any more', async () => {
  await site.does('backup', directory);
  const before = await site.visit();
  const without = site.with({ COMPOSE_FILE: 'docker-compose.yml' });
  expect(await without.refuses('restore', directory)).toContain(
    'it was made beside an archive, and this stack has none',
  );
  expect(await site.count()).toBe(before);
});

/** restore.sh of Postgres's image, as ./stack calls it. */
async function inVolume(args: string, input = '/dev/null'): Promise<{ code: number; stderr: string }> {
  const run = `docker compose run --rm --no-deps --no-TTY --entrypoint restore.sh ${args} < "$0"`;
  return ended('sh', ['-c', run, input], site.path, site.env);
}

it('comes back by ./stack up after a restore that was killed', async () => {
  await site.does('backup', '--dump', directory);
  const [dump = ''] = await backups();
  const old = await site.count();
  await site.visit();
  const task = site.run('restore', dump);
  await task.says('Stopping');
  await task.crash();
  await task.end;
  await site.unlocked();
  await site.does('up');
  // Either it took place, and waits for its end, or it did not.
  if ((await site.count()) === old) await site.does('restore', '--undo');
  await site.does('restore', '--confirm');
  expect(await site.count()).toBe(old + 1);
});

it('finishes a restore that was cut off, before it begins another one', async () => {
  await site.does('backup', '--dump', directory);
  const [dump = ''] = await backups();
  const old = await site.count();
  await site.visit();
  expect(await inVolume('postgres dump', dump)).toMatchObject({ code: 0 });
  await site.stack.compose('stop', 'postgres');
  expect(await inVolume('postgres switch staged')).toMatchObject({ code: 0 });
  expect(await site.refuses('restore', dump)).toContain('an earlier restore still waits for its end');
  expect(await site.count()).toBe(old);
  await site.does('restore', '--undo');
  expect(await site.count()).toBe(old + 1);
  await site.does('restore', '--confirm');
});

it('leaves the data alone after an undo that was killed', async () => {
  await site.does('backup', directory);
  await site.visit();
  await site.does('restore', directory);
  const restored = await site.visit();
  const task = site.run('restore', '--undo');
  const helper = async () =>
    (await docker('ps', '--quiet', '--filter', `name=^${site.stack.project}-volume$`)).stdout;
  await until(async () => (await helper()) !== '');
  await task.crash();
  await task.end;
  await site.unlocked();
  await until(async () => (await helper()) === '', 60_000);
  await site.stack.compose('restart', 'postgres');
  await until(async () => (await site.count()) === restored);
  await site.does('restore', '--confirm');
  expect(await site.count()).toBe(restored);
});

it('backs up while WAL is removed as fast as can be', async () => {
  let over = false;
  const remove = (async () => {
    while (!over) await site.stack.sql('SELECT pg_switch_wal()').then(() => site.stack.sql('CHECKPOINT'));
  })();
  try {
    await site.does('backup', directory);
  } finally {
    over = true;
    await remove;
  }
  expect(await site.stack.sql('SELECT count(*) FROM pg_replication_slots')).toBe('0');
});

it('takes a folder by any name, as its caller means it', async () => {
  await mkdir(join(directory, 'real'));
  await symlink('real', join(directory, 'a link'));
  const script = join(site.path, 'stack');
  const call = (...args: string[]) => ended(script, args, directory, site.env);
  for (let times = 0; times < 4; times++)
    expect(await call('backup', '--dump', 'a link')).toMatchObject({ code: 0 });
  expect(await readdir(join(directory, 'real'))).toHaveLength(3);
  const before = await site.count();
  expect(await call('restore', 'a link')).toMatchObject({ code: 0 });
  expect(await site.count()).toBe(before);
  await site.does('restore', '--confirm');
});

it('brings back grants to other roles, and rows that a policy hides', async () => {
  await site.stack.sql(`CREATE ROLE "bob-1" LOGIN; CREATE TABLE secrets (of_whom text); INSERT INTO secrets VALUES ('bob');
    ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; GRANT SELECT ON secrets TO "bob-1"`);
  await site.does('backup', '--dump', directory);
  await restore(...(await backups()));
  expect(
    await site.stack.sql("SELECT of_whom, has_table_privilege('bob-1', 'secrets', 'SELECT') FROM secrets"),
  ).toBe('bob|t');
});

it('refuses the backup of a stack with other names, at once', async () => {
  await site.does('backup', directory);
  const [backup = ''] = await backups();
  const { code, stderr } = await inVolume(
    '--env POSTGRES_USER=other --env PGUSER=other postgres base any',
    backup,
  );
  expect([code, stderr]).toEqual([1, expect.stringContaining('role "other" does not exist')]);
});

it.each([
  [['backup', 'here', '--dump'], 'backup takes --dump, then a folder'],
  [['restore', '--undo', '--at', '2026-01-01T00:00:00Z'], 'restore takes a backup'],
  [['restore'], 'restore takes a backup'],
  [['restore', 'nowhere'], 'there is no '],
])('refuses %s', async (args, words) => {
  const output = await site.with({ TMPDIR: directory }).refuses(...args);
  expect(output).toContain(words);
  expect(await readdir(directory)).toEqual([]);
});
