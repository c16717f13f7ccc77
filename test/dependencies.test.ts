import { glob, readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import manifest from '../package.json' with { type: 'json' };

it('declares as dependencies the packages that web imports, and no others', async () => {
  const imported = new Set<string>();
  for await (const file of glob('web/src/**/*.ts', { exclude: ['**/*.test.ts'] })) {
    const source = await readFile(file, 'utf8');
    for (const [, name = ''] of source.matchAll(/ from '(?!node:|\.)((?:@[^/']+\/)?[^/']+)[^']*';$/gm))
      imported.add(name);
  }
  expect([...imported].sort()).toEqual(Object.keys(manifest.dependencies).sort());
});
