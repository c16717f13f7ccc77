import { defineConfig } from 'vitest/config';
import LongestFirst from './test/support/longest-first.ts';

/** So many files at a time, of those that wait for containers. More only wait for each other on two cores. */
const AT_A_TIME = 2;

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './test/support/closing-line.ts'],
    projects: [
      {
        extends: true,
        // Nothing of Docker: what would load it finds no such file.
        resolve: { alias: { testcontainers: '/unit tests load nothing of Docker' } },
        test: {
          name: 'unit',
          include: [
            'web/src/**/*.test.ts',
            'bench/*.test.ts',
            'test/*.test.ts',
            'test/counter/*.test.ts',
            'test/counter/{models,simulation,exploration}/**/*.test.ts',
          ],
          // Beside the stacks, which wait most of the time, the machine is busy.
          testTimeout: 60_000,
          maxWorkers: AT_A_TIME,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'debian',
          include: ['test/debian/**/*.test.ts'],
          // Each fetches the index of a suite.
          testTimeout: 300_000,
          maxWorkers: AT_A_TIME,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts', 'test/counter/integration/**/*.test.ts'],
          // A container starts in seconds; on a busy machine in many of them.
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // Each file has containers of its own. Their time limits are short: nothing else may keep the machine busy.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'stacks',
          include: ['test/{build,stacks}/**/*.test.ts', 'test/counter/stacks/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          // Each file has stacks of its own, and waits for them most of the time.
          maxWorkers: AT_A_TIME,
          sequence: { groupOrder: 2 },
        },
      },
      {
        extends: true,
        test: {
          name: 'stack',
          include: [
            'test/stack/**/*.test.ts',
            'test/commandments/**/*.test.ts',
            'test/counter/stack/**/*.test.ts',
          ],
          globalSetup: 'test/support/setup.ts',
          testTimeout: 60_000,
          hookTimeout: 300_000,
          // There is one stack.
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
      {
        extends: true,
        test: {
          name: 'chaos',
          include: ['test/counter/chaos/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 300_000,
          // Faults are timed: nothing else may keep the machine busy.
          sequence: { groupOrder: 4 },
        },
      },
      {
        extends: true,
        test: {
          name: 'ops',
          include: ['test/counter/ops/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          // A deploy compares how quick the site is before and after.
          sequence: { groupOrder: 5 },
        },
      },
      {
        extends: true,
        test: {
          name: 'engine',
          include: ['test/engine/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 300_000,
          maxWorkers: AT_A_TIME,
          sequence: { groupOrder: 6 },
        },
      },
      {
        extends: true,
        test: {
          name: 'swarm',
          include: ['test/counter/swarm/**/*.test.ts'],
          // A fail-over takes 20 s, a node is away for 30 s.
          testTimeout: 300_000,
          hookTimeout: 300_000,
          maxWorkers: AT_A_TIME,
          sequence: { groupOrder: 6 },
        },
      },
      {
        extends: true,
        test: {
          name: 'observability',
          include: ['test/counter/observability/**/*.test.ts'],
          globalSetup: 'test/counter/observability/setup.ts',
          // An alert waits until a fault has lasted, and until what it looks at has passed by.
          testTimeout: 480_000,
          hookTimeout: 300_000,
          // There is one stack.
          fileParallelism: false,
          sequence: { groupOrder: 7 },
        },
      },
      {
        extends: true,
        test: {
          name: 'example',
          include: ['test/example/**/*.test.ts'],
          // A whole run of tests, in another checkout.
          testTimeout: 900_000,
          hookTimeout: 300_000,
          maxWorkers: AT_A_TIME,
          sequence: { groupOrder: 6 },
        },
      },
    ],
  },
});
