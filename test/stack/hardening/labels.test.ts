/** What each image says of itself. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { container } from '../../support/services.ts';
import { inspect } from '../../support/stack.ts';

const run = promisify(execFile);

describe('labels', () => {
  it.each([
    ['nginx', ['nginx']],
    // Without what the image of migrate alone is made from: a new migration does not replace Postgres.
    [
      'postgres',
      [
        'postgres',
        ...['migrate.sh', 'migrations', 'privileges.sql'].map((file) => `:(exclude)postgres/${file}`),
      ],
    ],
    // As .dockerignore lets it in.
    ['web', ['.dockerignore', 'package.json', 'package-lock.json', 'web', ':(exclude)web/**/*.test.ts']],
  ])('the image of %s names the last commit that changed what it is made from', async (service, paths) => {
    const labels: Record<string, string> = JSON.parse(
      await inspect(await inspect(await container(service), '{{.Image}}'), '{{json .Config.Labels}}'),
    );
    const label = (name: string) => labels[`org.opencontainers.image.${name}`];
    const git = async (...args: string[]) => (await run('git', args)).stdout.trim();
    const [commit, date] = (await git('log', '-1', '--format=%H %cI', '--', ...paths)).split(' ');
    const changed = (await git('status', '--porcelain', '--', ...paths)) !== '';
    const { version } = JSON.parse(await git('show', `${commit}:package.json`));
    expect(label('revision')).toBe(`${commit}${changed ? '-dirty' : ''}`);
    expect([label('version'), label('created'), label('licenses')]).toEqual([version, date, 'MIT']);
    expect(label('title')).toBe(service);
    expect(label('source')).toMatch(/./);
    expect(label('source')).not.toMatch(/\/\/[^/]*@/);
  });
});
