import type { Reporter, TestModule } from 'vitest/node';

/** Ends a run with the figures that tests measured, and one line for a reader of the last line alone: "128 passed, 0 failed". */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        for (const { type, message } of test.annotations()) if (type === 'figure') console.log(message);
      }
    }
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    for (const module of modules) {
      const before = count.failed;
      for (const test of module.children.allTests()) count[test.result().state]++;
      // A file that cannot be loaded, or whose hooks fail, has failed though none of its tests has.
      if (!module.ok() && count.failed === before) count.failed++;
    }
    const skipped = count.skipped + count.pending;
    console.log(`${count.passed} passed, ${count.failed} failed${skipped ? `, ${skipped} skipped` : ''}`);
  }
}
