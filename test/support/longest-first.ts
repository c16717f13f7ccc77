import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files that take minutes. One that begins last ends alone, and a processor has nothing to do. */
const LONG = [
  'exploration/exploration.test.ts',
  'stacks/https.test.ts',
  'stacks/past.test.ts',
  'stacks/restore.test.ts',
  'stacks/migrations.test.ts',
  'swarm/swarm.test.ts',
];

/** Begins the long files of each project first. */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const index = LONG.findIndex((path) => moduleId.endsWith(path));
      return index < 0 ? LONG.length : index;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
