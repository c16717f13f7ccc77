/** What GitHub is told: checked as far as it can be without GitHub. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const WORKFLOWS = readdirSync('.github/workflows').map((file) =>
  readFileSync(`.github/workflows/${file}`, 'utf8'),
);

it('every action is pinned to a commit, and says of which version', () => {
  const uses = WORKFLOWS.flatMap((text) => text.match(/uses: .*/g) ?? []);
  expect(uses).not.toEqual([]);
  for (const line of uses) expect(line).toMatch(/^uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
});

it('CI runs .ci/run and nothing else, with the right to read alone, and ends some day', () => {
  for (const text of WORKFLOWS) {
    expect(text.match(/run: .*/g)).toEqual(['run: sudo --preserve-env=CI .ci/run']);
    expect(text).toMatch(/^permissions:\n {2}contents: read$/m);
    expect(text).toMatch(/timeout-minutes: \d+/);
  }
});
