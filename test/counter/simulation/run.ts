/**
 * `npm run simulate -- --histories N [--from SEED]` checks so many histories and says what it found;
 * `npm run simulate -- --seed SEED [--trace]` shows one.
 */
import { parseArgs } from 'node:util';
import { faultless } from '../checker.ts';
import { simulate } from './simulate.ts';

const { values } = parseArgs({
  options: {
    histories: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});

const from = Number(values.seed ?? values.from);
const histories = values.seed === undefined ? Number(values.histories) : 1;
if (!Number.isSafeInteger(from) || !Number.isSafeInteger(histories) || histories < 1) {
  console.error('--seed and --from take a whole number, --histories one from 1 up');
  process.exit(2);
}

const total = { histories, broken: 0, visits: 0, acknowledged: 0, failed: 0 };
const started = performance.now();
for (let seed = from; seed < from + histories; seed++) {
  const { verdict, faults, trace, afterQuiet } = await simulate({ seed });
  total.visits += verdict.visits;
  total.acknowledged += verdict.acknowledged;
  total.failed += verdict.failed;
  if (values.trace) console.log(trace.join('\n'));
  if (values.seed !== undefined) console.log(`faults: ${faults.join(', ')}\n${JSON.stringify(verdict)}`);
  if (!faultless(verdict) || afterQuiet.includes('refused')) {
    total.broken++;
    console.log(`BROKEN: --seed ${seed} [${faults.join(', ')}] ${JSON.stringify(verdict)} ${afterQuiet}`);
  }
  if ((seed - from + 1) % 1000 === 0) console.error(`${seed - from + 1} histories, ${total.broken} broken`);
}
const seconds = ((performance.now() - started) / 1000).toFixed(0);
console.log(`${JSON.stringify(total)} in ${seconds} s`);
// The rule of three: https://en.wikipedia.org/wiki/Rule_of_three_(statistics)
if (total.broken === 0)
  console.log(
    `at 95 % confidence fewer than ${(3 / histories).toExponential(1)} of all histories break a promise`,
  );
process.exitCode = total.broken > 0 ? 1 : 0;
