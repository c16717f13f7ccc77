/** The upgrade of Postgres to its next major version, while clients visit, and cut off at each of its steps. */
import { baseImages } from '../../support/base-images.ts';
import { nextPostgres } from '../../support/next-postgres.ts';
import type { Case } from './cases.ts';
import type { Site } from './site.ts';

const isNext = async (site: Site) => Number(await site.stack.sql('SHOW server_version_num')) >= 190_000;

/** Back to the version before, whose data is kept. */
async function back(site: Site): Promise<void> {
  if (!(await isNext(site))) return;
  await site.set('POSTGRES_IMAGE', baseImages().POSTGRES_IMAGE);
  await site.does('restore', '--undo');
  await site.does('restore', '--confirm');
  if (await isNext(site)) throw new Error('Postgres is not of the version before');
}

/** Without Postgres visits wait, and are refused after a while: an upgrade takes longer. */
const common = { mayFail: true, clean: back } as const;

/** An upgrade that is ended at a step. The site goes on with either version. */
function interrupted(step: string, how: 'interrupt' | 'crash'): Case {
  return {
    ...common,
    name: `an upgrade of Postgres is ended by ${how === 'crash' ? 'SIGKILL' : 'Ctrl-C'} at '${step}'`,
    async work(site) {
      const task = site.run('upgrade', await nextPostgres(baseImages().POSTGRES_IMAGE));
      await task.says(`==> ${step}`);
      await (how === 'crash' ? task.crash() : task.interrupt());
      if ((await task.end) === 0) throw new Error('the upgrade was not ended');
      await site.unlocked();
      if (how === 'crash') await site.does('up');
    },
  };
}

export const UPGRADES: Case[] = [
  {
    ...common,
    name: 'an upgrade of Postgres',
    async work(site) {
      const next = await nextPostgres(baseImages().POSTGRES_IMAGE);
      await site.does('upgrade', next);
      if (!(await isNext(site))) throw new Error('Postgres is still of the version before');
      const output = await site.refuses('upgrade', next);
      if (!output.includes('nothing to upgrade')) throw new Error(output);
    },
  },
  ...['Building', 'Stopping', 'Reading', 'Writing', 'Starting'].flatMap((step) => [
    interrupted(step, 'interrupt'),
    interrupted(step, 'crash'),
  ]),
];
