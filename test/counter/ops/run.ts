/**
 * `npm run rehearse -- [TEXT]`: every case of cases.ts whose name has the text, on a site of its own, and then the restores; two
 * tables in Markdown.
 */
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { markdown } from '../../support/markdown.ts';
import { blame, CASES, runCase } from './cases.ts';
import { loseAndRestore } from './restore.ts';
import { Site } from './site.ts';

const [text = ''] = process.argv.slice(2);

/** What was seen of each case that ran, one line each. */
async function rehearse(): Promise<(string | number)[][]> {
  const cases = CASES.filter(({ name }) => name.includes(text));
  if (cases.length === 0) return [];
  await using site = await Site.start('rehearsal');
  const lines: (string | number)[][] = [];
  for (const one of cases) {
    console.error(one.name);
    try {
      const result = await runCase(site, one);
      const { visits, failed, errorsMs, duplicates, inversions, lost, slowestMs, seconds } = result;
      const figures = [
        visits,
        failed,
        (errorsMs / 1000).toFixed(1),
        duplicates,
        inversions,
        lost,
        Math.round(slowestMs),
        seconds.toFixed(0),
      ];
      console.error(`  ${figures.join(' ')}`);
      lines.push([one.name, ...figures]);
      for (const fault of blame(one, result)) throw new Error(fault);
    } catch (error) {
      console.error(error);
      process.exitCode = 1;
    }
  }
  return lines;
}

/** The same of the two restores of a volume that is lost. */
async function restore(): Promise<(string | number)[][]> {
  await using site = await Site.start('rehearsal-restore', {
    COMPOSE_FILE: 'docker-compose.yml:compose/backup.yml',
  });
  await using directory = await mkdtempDisposable(join(tmpdir(), 'backups-'));
  return (await loseAndRestore(site, directory.path)).map((restored) => {
    const { name, at, count, bounds, duplicates, lostS, seconds } = restored;
    return [
      name,
      at ?? '-',
      count,
      bounds.join(' to '),
      duplicates,
      lostS?.toFixed(1) ?? '-',
      seconds.toFixed(1),
    ];
  });
}

const deployed = await rehearse();
const headings = [
  'case',
  'visits sent',
  'failed',
  'within, s',
  'duplicates',
  'inversions',
  'lost',
  'slowest answer, ms',
];
if (deployed.length > 0) console.log(markdown([...headings, 'seconds'], deployed));
if ('a restore'.includes(text)) {
  const restores = ['restore', 'T', 'count', 'bounds', 'duplicates after it', 'lost, s', 'recovery, s'];
  console.log(`\n${markdown(restores, await restore())}`);
}
