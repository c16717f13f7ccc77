import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../../support/this-checkout.ts';
import { overlaid } from './overlaid.ts';
import { type Case, FIRES, SILENT } from './rules.ts';

const run = promisify(execFile);
const RULES = await readFile('compose/observability/alerts.yml', 'utf8');
const ALERTS = [...RULES.matchAll(/^ {6}- alert: (\w+)$/gm)].map(([, name]) => name);

/** Runs all cases at once: what promtool says, by which it names the ones that failed. */
async function promtool(cases: { case: Case; fires: boolean }[]): Promise<string> {
  const tests = cases.map(({ case: [alert, when, series, at], fires }) => ({
    interval: '5s',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [
      {
        // promtool names a test that fails by nothing but this.
        expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) # ${alert}: ${when}`,
        eval_time: at,
        exp_samples: fires ? [{ labels: '{}', value: 1 }] : [],
      },
    ],
  }));
  const file = JSON.stringify({ rule_files: ['/rules/alerts.yml'], evaluation_interval: '5s', tests });
  const container = ['run', '--rm', '--interactive', '--network', 'none', '--entrypoint', '/bin/promtool'];
  const rules = ['--volume', `${ROOT}/compose/observability:/rules:ro`];
  const child = run('docker', [
    ...container,
    ...rules,
    overlaid()['x-base-images'].PROMETHEUS_IMAGE,
    'test',
    'rules',
    '/dev/stdin',
  ]);
  child.child.stdin?.end(file);
  return child.then(
    ({ stdout, stderr }) => stdout + stderr,
    ({ stdout, stderr }) => stdout + stderr,
  );
}

let said: string;
beforeAll(async () => {
  said = await promtool([
    ...FIRES.map((each) => ({ case: each, fires: true })),
    ...SILENT.map((each) => ({ case: each, fires: false })),
  ]);
});

it.each(FIRES)('%s fires: %s', (alert, when) => expect(said).not.toContain(`${alert}: ${when}`));
it.each(SILENT)('%s does not fire: %s', (alert, when) => expect(said).not.toContain(`${alert}: ${when}`));

describe('each rule', () => {
  it('passed', () => expect(said).toMatch(/^\s*SUCCESS\s*$/m));

  it.each(ALERTS)(
    '%s has a case that fires and one that does not, and a section of the runbook',
    async (alert) => {
      expect(FIRES.map(([name]) => name)).toContain(alert);
      expect(SILENT.map(([name]) => name)).toContain(alert);
      expect(await readFile('docs/alerts.md', 'utf8')).toContain(`\n## ${alert}\n`);
      expect(RULES).toContain(`runbook: docs/alerts.md#${alert?.toLowerCase()}\n`);
    },
  );
});
