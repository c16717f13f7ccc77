/** What `./stack` does to a running site, well or badly, and what has to come of it. */
import { inspect } from '../../support/stack.ts';
import type { Result, Site } from './site.ts';
import { UPGRADES } from './upgrade.ts';

export interface Case {
  name: string;
  /** Which file becomes what: text to look for (undefined: a new file), text in its place. */
  edit?: [file: string, from: string | undefined, to: string];
  /** What happens to the site. Every change is a deploy by default. */
  work?: (site: Site) => Promise<void>;
  /** The deploy ends with 1 and these words; by default with 0. */
  fails?: RegExp;
  /** For how long the deploy watches, if longer than usual (seconds). */
  watchS?: number;
  /** Visitors see errors: of an image that answers wrongly itself until it is taken away, or while Postgres is replaced. */
  mayFail?: true;
  /** What is left to do when the history is checked. */
  clean?: (site: Site) => Promise<void>;
}

const ROUTES = 'web/src/counter/routes.ts';
const VISIT = '      const number = await counter.visit';
/** A change that does no harm, and that no other case has made. */
let versions = 0;
const harmless = (): NonNullable<Case['edit']> => [
  ROUTES,
  VISIT,
  `      log.trace('version ${++versions}');\n${VISIT}`,
];

async function deploy(site: Site, fails?: RegExp, watchS = 8): Promise<void> {
  const watching = site.with({ DEPLOY_WATCH: String(watchS) });
  const output = await (fails ? watching.refuses('deploy') : watching.does('deploy'));
  if (fails && !fails.test(output))
    throw new Error(`./stack deploy failed otherwise:\n${output.slice(-3000)}`);
}

/** Interrupts a deploy at one of its steps, then deploys again. */
function interrupted(step: string, how: 'interrupt' | 'crash'): Case {
  return {
    name: `a deploy is ended by ${how === 'crash' ? 'SIGKILL' : 'Ctrl-C'} at '${step}', then run again`,
    edit: harmless(),
    async work(site) {
      const task = site.with({ DEPLOY_WATCH: '8' }).run('deploy');
      await task.says(`==> ${step}`);
      await (how === 'crash' ? task.crash() : task.interrupt());
      if ((await task.end) === 0) throw new Error('the deploy was not ended');
      await site.unlocked();
      await deploy(site);
    },
  };
}

/** Of the replicas that run. */
const images = async (site: Site) =>
  Promise.all((await site.stack.containers('web')).map((id) => inspect(id, '{{.Image}}')));

async function scale(site: Site, replicas: number): Promise<void> {
  await site.does('scale', String(replicas));
  const found = (await site.stack.containers('web')).length;
  if (found !== replicas) throw new Error(`${found} replicas, not ${replicas}`);
}

export const CASES: Case[] = [
  {
    name: 'a good deploy, another one at once, and a rollback',
    edit: harmless(),
    async work(site) {
      const [before] = await images(site);
      const first = site.with({ DEPLOY_WATCH: '8' }).run('deploy');
      await first.says('==> Building');
      await deploy(site, /A deploy is under way/);
      if ((await first.end) !== 0) throw new Error(first.output);
      await site.with({ DEPLOY_WATCH: '2' }).does('rollback');
      const found = await images(site);
      if (found.some((image) => image !== before)) throw new Error(`${found} and not ${before}`);
    },
  },
  {
    name: 'a build that fails',
    edit: ['web/src/main.ts', 'import ', "import './missing.ts';\nimport "],
    fails: /the deploy failed: the build/,
  },
  {
    name: 'a configuration that NGINX refuses',
    edit: ['nginx/locations.conf', undefined, 'location = / { no_such_thing; }\n'],
    fails: /NGINX refuses its configuration: .*no_such_thing/s,
  },
  {
    name: 'a change of NGINX alone',
    edit: ['nginx/locations.conf', 'location = / {', '# another version\nlocation = / {'],
    // Docker binds a port to one container at a time.
    mayFail: true,
    // Or the next deploy would replace NGINX as well.
    clean: deploy,
  },
  {
    name: 'an image that never gets ready',
    edit: ['web/src/counter/application.ts', 'return { status,', "return { status: 'unavailable',"],
    fails: /is not ready after 8 s: .*unavailable/s,
  },
  {
    name: 'an image that crashes after 20 s',
    edit: ['web/src/main.ts', 'function main', 'setTimeout(() => process.exit(1), 20_000);\nfunction main'],
    fails: /a new replica crashed/,
    watchS: 25,
  },
  {
    name: 'an image that answers 500 to a tenth of the visits',
    edit: [ROUTES, VISIT, `      if (Math.random() < 0.1) throw new Error('one in ten');\n${VISIT}`],
    fails: /requests to new replicas failed/,
    mayFail: true,
  },
  {
    name: 'an image that is twice as slow',
    edit: [ROUTES, VISIT, `      await new Promise((resolve) => setTimeout(resolve, 15));\n${VISIT}`],
    fails: /requests take \d+ ms; before, \d+ ms/,
    watchS: 25,
  },
  ...['Building', 'Migrating', 'Starting', 'Taking', 'Watching'].flatMap((step) => [
    interrupted(step, 'interrupt'),
    interrupted(step, 'crash'),
  ]),
  {
    name: 'scale 3 → 9 → 1 → 3',
    async work(site) {
      for (const replicas of [9, 1, 3]) await scale(site, replicas);
    },
  },
  {
    name: 'a migration that fails',
    edit: ['postgres/migrations/0002_broken.sql', undefined, 'SELECT 1 / 0;\n'],
    fails: /division by zero/,
  },
  {
    name: 'a migration that would lock the row',
    edit: [
      'postgres/migrations/0002_slow.sql',
      undefined,
      'SELECT FROM visitors FOR UPDATE;\nSELECT pg_sleep(20);\n',
    ],
    fails: /timeout/,
  },
  ...UPGRADES,
];

/** Runs a case on a site, and leaves the site as it was, but for harmless changes. */
export async function runCase(site: Site, { name, edit, work, fails, watchS, clean }: Case): Promise<Result> {
  const undo = edit && (await site.edit(...edit));
  try {
    return await site.under(name, () => (work ? work(site) : deploy(site, fails, watchS)));
  } finally {
    await undo?.();
    await clean?.(site);
  }
}

/** Why a case is not as it should be. */
export function blame({ mayFail }: Case, result: Result): string[] {
  const { failed, duplicates, inversions, lost, underCount, errors } = result;
  const wrong = Object.entries({ duplicates, inversions, lost, underCount }).filter(([, times]) => times > 0);
  return [
    ...wrong.map(([what, times]) => `${times} ${what}`),
    ...(failed > 0 && !mayFail ? [`${failed} failed: ${[...new Set(errors)].slice(0, 3).join('; ')}`] : []),
  ];
}
