/** One case of each kind; `npm run rehearse` runs all of them. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { blame, CASES, runCase } from './cases.ts';
import { Site } from './site.ts';

const IN_EVERY_RUN = [
  'a good deploy, another one at once, and a rollback',
  'a build that fails',
  'an image that never gets ready',
  'an image that answers 500 to a tenth of the visits',
  "a deploy is ended by SIGKILL at 'Taking', then run again",
  'scale 3 → 9 → 1 → 3',
  'a migration that would lock the row',
  'an upgrade of Postgres',
];

let site: Site;
beforeAll(async () => {
  site = await Site.start('ops-test');
});
afterAll(() => site[Symbol.asyncDispose]());

it.each(CASES.filter(({ name }) => IN_EVERY_RUN.includes(name)))('serves on: $name', async (one) => {
  expect(blame(one, await runCase(site, one))).toEqual([]);
});

it('knows the cases that every run has', () => {
  expect(CASES.map(({ name }) => name)).toEqual(expect.arrayContaining(IN_EVERY_RUN));
});
