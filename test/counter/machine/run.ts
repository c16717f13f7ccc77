/**
 * `./stack machine [--failures N]`: the stack in a virtual machine of its own, whose limits are compared, and which reboots, restarts
 * its engine, has its clock set, and loses power N times under load; a table of what clients saw. Then it loses power with
 * Postgres's fsync=off, until numbers are lost: where that is not seen, the power failures before prove nothing. At last its clock
 * leaves a certificate behind. Fails if anything is not as it should be.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { markdown } from '../../support/markdown.ts';
import { check, faultless } from '../checker.ts';
import { renewal } from './certificate.ts';
import { CLOCK, ENGINE, type Fault, POWER_FAILURE, REBOOT, type Result, suffer } from './faults.ts';
import { Guest } from './guest.ts';
import { asked, compare, compareLifted } from './limits.ts';

const { values } = parseArgs({ options: { failures: { type: 'string', default: '10' } } });
const failures = Number(values.failures);
if (!(Number.isInteger(failures) && failures > 0)) {
  console.error(`--failures ${values.failures}: not a number from 1 on, as in --failures 10`);
  process.exit(2);
}

const directory = mkdtempSync(join(tmpdir(), 'machine-'));
// A signal ends the process here too, and with it qemu.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
const started = performance.now();
const results: Result[] = [];

function say(text: string): void {
  console.error(`${((performance.now() - started) / 60_000).toFixed(1)} min: ${text}`);
}
function blame(text: string): void {
  say(`WRONG: ${text}`);
  process.exitCode = 1;
}

async function suffers(guest: Guest, fault: Fault): Promise<Result> {
  const result = await suffer(guest, fault);
  results.push(result);
  const { name, acknowledged, duplicates, inversions, lost, seconds } = result;
  say(
    `${name}: ${acknowledged} acknowledged, ${duplicates} duplicates, ${inversions} inversions, ${lost} lost, ` +
      `counts again after ${seconds.toFixed(1)} s`,
  );
  return result;
}

/** The limits, and that one that is lifted is seen. */
async function limits(guest: Guest): Promise<void> {
  const wanted = asked(await guest.compose('config', '--format', 'json'));
  const { read, wrong } = await compare(guest.agent, wanted);
  for (const line of wrong) blame(line);
  if (wrong.length === 0) say(`the kernel has ${read} limits, as in docker-compose.yml`);
  const lifted = await compareLifted(guest.agent, wanted, guest.container('redis'));
  if (lifted.length !== 4)
    blame(`of 4 limits that were lifted, ${lifted.length} were seen: ${lifted.join('; ')}`);
  else say(`4 limits were lifted, and seen: ${lifted.join('; ')}`);
}

/** Power failures that have to lose numbers, because Postgres does not wait for the disk. As many as the others at most. */
async function withoutFsync(guest: Guest): Promise<void> {
  await guest.sql('ALTER SYSTEM SET fsync = off');
  await guest.sql('SELECT pg_reload_conf()');
  for (let number = 1; number <= failures; number++) {
    const { lost, duplicates } = await suffers(guest, {
      ...POWER_FAILURE,
      name: `power failure ${number}, fsync=off`,
    });
    if (lost + duplicates > 0) return;
  }
  blame(`${failures} power failures with fsync=off lost no number: those with fsync=on prove nothing`);
}

/** A certificate that expires while the machine stands still. */
async function renews(guest: Guest): Promise<void> {
  const { handshakes, failures, seconds, askedSeconds } = await renewal(guest);
  say(
    `the clock a month ahead, with a certificate of a week: another one after ${seconds.toFixed(1)} s; ` +
      `${handshakes} handshakes, ${failures.length} failed; a month back, the authority asked again after ${askedSeconds.toFixed(1)} s`,
  );
  for (const failure of failures) blame(failure);
}

async function all(): Promise<void> {
  const guest = await Guest.boot(directory, (machine) => process.once('exit', () => machine.kill()));
  say('starting the stack');
  await guest.up();
  await limits(guest);
  const power = Array.from({ length: failures }, (_, index) => ({
    ...POWER_FAILURE,
    name: `power failure ${index + 1}`,
  }));
  for (const fault of [REBOOT, ...ENGINE, ...CLOCK, ...power]) {
    const result = await suffers(guest, fault);
    if (!faultless(result)) blame(`${fault.name} broke a promise`);
  }
  // Nothing was reset: all of it is one history.
  const whole = check(
    results.flatMap(({ operations }) => operations),
    {
      count: Number(await guest.sql('SELECT visitor_count FROM visitors')),
      surplus: Number.POSITIVE_INFINITY,
    },
  );
  say(`all of them as one history: ${JSON.stringify(whole)}`);
  if (!faultless(whole)) blame('the history of all faults breaks a promise');
  await withoutFsync(guest);
  await renews(guest);
}

try {
  await all();
} catch (error) {
  console.error(error);
  blame('the run was not finished');
}
const headings = [
  'fault',
  'visits',
  'acknowledged',
  'duplicates',
  'inversions',
  'lost',
  'seconds until it counts again',
];
console.log(
  markdown(
    headings,
    results.map((result) => {
      const { name, visits, acknowledged, duplicates, inversions, lost, seconds } = result;
      return [name, visits, acknowledged, duplicates, inversions, lost, seconds.toFixed(1)];
    }),
  ),
);
process.exit();
