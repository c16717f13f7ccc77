import type { Reporter, TestModule } from 'vitest/node';

/** Ends a run with one line for whoever reads only that: "128 passed, 0 failed". A skipped test is a failed one. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    let passed = 0;
    let failed = 0;
    for (const module of modules) {
      let tests = 0;
      for (const test of module.children.allTests()) {
        tests++;
        if (test.result().state === 'passed') passed++;
        else failed++;
      }
      if (tests === 0 || (module.state() === 'failed' && failed === 0)) failed++;
    }
    if (failed > 0) process.exitCode = 1;
    console.log(`${passed} passed, ${failed} failed`);
  }
}
