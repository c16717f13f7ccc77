/**
 * `npm test`: runs every suite that this machine can run, and says which it leaves out: all but the unit tests without a
 * Docker engine, one where no second engine can be started. With CI=true that is a failure. Further arguments go to vitest.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { baseImages } from './support/base-images.ts';
import { LABEL } from './support/this-checkout.ts';

function docker(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('docker', args, { encoding: 'utf8' });
  if (status === 0) return stdout;
  console.error(`docker ${args.join(' ')}: ${stderr}`);
  process.exit(1);
}

function leaveOut(suites: string, because: string): void {
  const message = `${because}: ${suites} ARE LEFT OUT.`;
  if (process.env.CI === 'true') {
    console.error(`${message}\nWith CI=true that is a failure.`);
    process.exit(1);
  }
  process.on('exit', () => console.error(`\n*** ${message}`));
}

const projects = ['unit'];
// What Debian's package index has, only a machine of Debian can ask.
if (existsSync('/etc/os-release') && /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8')))
  projects.push('debian');
if (spawnSync('docker', ['info']).status === 0) {
  projects.push('integration', 'stacks', 'stack', 'chaos', 'ops', 'observability', 'example');
  // The images that the stack is made of are the ones to test with.
  Object.assign(process.env, baseImages());
  // What an earlier run left behind when it was killed.
  const left = docker('ps', '--all', '--quiet', '--filter', `label=${LABEL}`);
  if (left) docker('rm', '--force', '--volumes', ...left.trim().split('\n'));
  // test/support/host.ts starts it.
  const needed = ['dockerd', 'ip', 'bridge', 'iptables', 'nsenter', 'unshare'];
  const lacking = needed.filter((name) => spawnSync(name, ['--version']).error);
  if (process.getuid?.() === 0 && lacking.length === 0) projects.push('engine', 'swarm');
  else leaveOut('the engine and Swarm tests', `A SECOND ENGINE NEEDS ROOT ON LINUX AND ${needed.join(', ')}`);
} else {
  leaveOut('all tests but the unit tests', 'NO DOCKER ENGINE ANSWERS (./stack test sees to one)');
}

const chosen = process.argv.slice(2);
if (!chosen.some((argument) => argument.startsWith('--project'))) {
  chosen.push(...projects.map((project) => `--project=${project}`));
}
const { status } = spawnSync('vitest', ['run', ...chosen], {
  stdio: 'inherit',
  // The tests remove what they start; the image of testcontainers' own cleaner is not to be had everywhere.
  env: { ...process.env, TESTCONTAINERS_RYUK_DISABLED: 'true' },
});
process.exitCode = status ?? 1;
