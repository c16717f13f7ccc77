import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    reporters: ['default', './test/closing-line.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['web/src/**/*.test.ts', 'test/*.test.ts', 'test/simulation/**/*.test.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          // A container starts in seconds; on a busy machine in many of them.
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // Each file has containers of its own; more of them at once only make all of them slow.
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'stack',
          include: ['test/stack/**/*.test.ts'],
          globalSetup: 'test/stack/setup.ts',
          testTimeout: 60_000,
          hookTimeout: 300_000,
          // There is one stack.
          fileParallelism: false,
        },
      },
    ],
  },
});
