/** `npm run rehearse -- [TEXT]`: every case of cases.ts whose name has the text, on a site of its own; a table in Markdown. */
import { markdown } from '../../support/markdown.ts';
import { blame, CASES, runCase } from './cases.ts';
import { Site } from './site.ts';

const [text = ''] = process.argv.slice(2);
await using site = await Site.start('rehearsal');
const lines: (string | number)[][] = [];
for (const one of CASES.filter(({ name }) => name.includes(text))) {
  console.error(one.name);
  try {
    const result = await runCase(site, one);
    const { visits, failed, duplicates, inversions, lost, slowestMs, seconds } = result;
    const figures = [visits, failed, duplicates, inversions, lost, Math.round(slowestMs), seconds.toFixed(0)];
    console.error(`  ${figures.join(' ')}`);
    lines.push([one.name, ...figures]);
    for (const fault of blame(one, result)) throw new Error(fault);
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
}
const headings = ['case', 'visits sent', 'failed', 'duplicates', 'inversions', 'lost', 'slowest answer, ms'];
console.log(markdown([...headings, 'seconds'], lines));
