/** `./stack` without an engine: how it is called, and what it says of a Docker that it cannot use. */
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Checkout, ended } from './support/checkout.ts';

let checkout: Checkout;
let elsewhere: string;

beforeAll(async () => {
  checkout = await Checkout.copy('stack', 'host', 'ops', 'docker-compose.yml');
  elsewhere = await mkdtemp(join(tmpdir(), 'elsewhere-'));
});
afterAll(async () => {
  await checkout[Symbol.asyncDispose]();
  await rm(elsewhere, { recursive: true });
});

describe('./stack lists its tasks, called', () => {
  const tasks = async (command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = {}) => {
    const { stdout, stderr } = await ended(command, args, cwd, { ...process.env, ...env });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^usage: .*\n {2}up {2,}\S/);
  };

  it('in a folder whose name has spaces and quotes', () => tasks('./stack', [], checkout.path));

  it('by its path, from another folder', () => tasks(join(checkout.path, 'stack'), [], elsewhere));

  it('by a path from the folder above', () => tasks(`./it's a "checkout"/stack`, [], dirname(checkout.path)));

  it('by sh', () => tasks('sh', ['stack'], checkout.path));

  it('by its name, through PATH', () =>
    tasks('stack', [], elsewhere, { PATH: `${checkout.path}:${process.env.PATH}` }));

  it('with a CDPATH that has folders of the same names', async () => {
    await mkdir(join(elsewhere, 'cd', `it's a "checkout"`), { recursive: true });
    await tasks('sh', [`it's a "checkout"/stack`], dirname(checkout.path), { CDPATH: join(elsewhere, 'cd') });
  });

  it('through a symbolic link, a relative one, and one to another', async () => {
    await mkdir(join(elsewhere, 'bin'));
    await symlink(join(checkout.path, 'stack'), join(elsewhere, 'absolute'));
    await symlink('../absolute', join(elsewhere, 'bin', 'relative'));
    await symlink('bin/relative', join(elsewhere, '-chain'));
    for (const link of ['absolute', 'bin/relative', '-chain']) await tasks(`./${link}`, [], elsewhere);
    await tasks(join(elsewhere, '-chain'), [], '/');
    await tasks('relative', [], '/', { PATH: `${join(elsewhere, 'bin')}:${process.env.PATH}` });
  });

  it('through a symbolic link to its folder', async () => {
    await symlink(checkout.path, join(elsewhere, 'folder'));
    await tasks('folder/stack', [], elsewhere);
  });
});

/** An executable script of this name. */
async function fake(path: string, text: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
}

/** What the scripts need. No apt-get is among it: nothing can be installed. */
const TOOLS = ['sh', 'basename', 'dirname', 'grep', 'sed', 'sort', 'tail', 'head', 'tr', 'readlink'];
const SILENT =
  'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?';

describe('./stack says in one line why no engine can be used, and what to do', () => {
  /**
   * @param folder of the fake docker: snapd puts its own into /snap/bin
   * @param script that is the fake docker; empty: there is none
   */
  async function said(task: string, folder: string, script: string, env: NodeJS.ProcessEnv): Promise<string> {
    const path = await mkdtemp(join(elsewhere, 'path-'));
    const bin = join(path, folder);
    await mkdir(bin, { recursive: true });
    for (const tool of TOOLS)
      await symlink(execFileSync('which', [tool], { encoding: 'utf8' }).trim(), join(bin, tool));
    if (script) await fake(join(bin, 'docker'), script);
    await fake(join(bin, 'id'), 'case "$1" in -u) echo 1000 ;; -un) echo somebody ;; esac');
    const { code, stdout, stderr } = await ended('./stack', [task], checkout.path, { PATH: bin, ...env });
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^stack: .*\n$/);
    expect(code).toBe(1);
    return stderr;
  }

  /** A client whose engine does not answer, with these words. */
  const deaf = (words: string, context = 'default') => `case "$*" in
    --version) echo 'Docker version 28.2.2, build e6534b4' ;;
    'context show') echo '${context}' ;;
    *) echo "${words}" >&2; exit 1 ;;
  esac`;
  /** One that answers, with these versions. */
  const answers = (engine: string, compose: string) => `case "$*" in
    --version) echo 'Docker version 28.4.0' ;;
    'compose version --short') echo ${compose} ;;
    *) echo ${engine} ;;
  esac`;
  /** One whose Compose says these words of the folder or the settings. */
  const unread = (words: string) => `case "$*" in
    --version) echo 'Docker version 28.4.0' ;;
    'compose version --short') echo 2.39.1 ;;
    compose*) echo '${words}' >&2; exit 1 ;;
    *) echo 28.4.0 ;;
  esac`;
  const denied =
    'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: ' +
    'Get http://%2Fvar%2Frun%2Fdocker.sock/v1.50/version: dial unix /var/run/docker.sock: connect: permission denied';

  it.each<[cause: string, says: RegExp[], script: string, env?: NodeJS.ProcessEnv, folder?: string]>([
    [
      'podman-docker',
      [/Podman/, /install Docker Engine/],
      `echo 'Emulate Docker CLI using podman. Create /etc/containers/nodocker to quiet msg.' >&2
      case "$*" in --version) echo 'podman version 5.8.6' ;; *) echo 'Error: configure storage' >&2; exit 125 ;; esac`,
    ],
    [
      'podman-docker that was told to be quiet',
      [/Podman/, /install Docker Engine/],
      `case "$*" in --version) echo 'podman version 5.8.6' ;; *) echo '5.8.6' ;; esac`,
    ],
    [
      "Docker's own client on the socket of Podman",
      [/Podman/, /install Docker Engine/],
      `case "$*" in
        --version) echo 'Docker version 28.5.2' ;;
        version) printf 'Client:\\n Version: 28.5.2\\n\\nServer: linux/amd64\\n Podman Engine:\\n  Version: 5.8.6\\n' ;;
        *) echo 5.8.6 ;;
      esac`,
    ],
    ['an engine that this user may not use', [/sudo usermod -aG docker somebody/, /denied/], deaf(denied)],
    [
      'DOCKER_HOST where nothing answers',
      [/DOCKER_HOST=tcp:\/\/10\.0\.0\.9:2375: start it, or unset/, /Cannot connect/],
      deaf('Cannot connect to the Docker daemon at tcp://10.0.0.9:2375. Is the docker daemon running?'),
      { DOCKER_HOST: 'tcp://10.0.0.9:2375' },
    ],
    [
      'DOCKER_CONTEXT where nothing answers',
      [/DOCKER_CONTEXT=away: start it, or unset/, /context not found/],
      deaf(
        'Failed to initialize: unable to resolve docker endpoint: context away: context not found',
        'away',
      ),
      { DOCKER_CONTEXT: 'away' },
    ],
    [
      'a context that was chosen for good, as that of Docker Desktop',
      [/context 'desktop-linux': start it, or `docker context use default`/, /Cannot connect/],
      deaf('Cannot connect to the Docker daemon at unix:///home/somebody/desktop.sock.', 'desktop-linux'),
    ],
    [
      "the engine of Docker's snap, stopped",
      [/sudo snap start docker/, /Cannot connect/],
      deaf(SILENT),
      {},
      'snap/bin',
    ],
    [
      "a folder that Docker's snap cannot read",
      [/snap reads no folder but/, /move it, or install/, /snapd\/void/],
      unread('open /var/lib/snapd/void/docker-compose.yml: no such file or directory'),
      {},
      'snap/bin',
    ],
    [
      'settings that Compose cannot use',
      [/\.env\.example/, /hostPort: abc/],
      unread('Invalid hostPort: abc'),
    ],
    [
      'an engine that is too old',
      [/engine is 20\.10\.24/, /needs 25/, /install/],
      answers('20.10.24', '2.40.3'),
    ],
    [
      'a Compose that is too old',
      [/Compose is 2\.20\.1/, /needs 2\.25/, /install/],
      answers('28.5.2', '2.20.1'),
    ],
    ['an engine that is not there', [/Install and start Docker Engine .*https:/], deaf(SILENT)],
    ['no docker command', [/Install and start Docker Engine .*https:/], ''],
  ])('%s', async (_, says, script, env = {}, folder = 'bin') => {
    const line = await said('up', folder, script, env);
    for (const text of says) expect(line).toMatch(text);
    // The tasks that start nothing say the same, but for what only `up` asks for and does.
    if (/ needs \d/.test(line)) return;
    const other = await said('ps', folder, script, env);
    if (line.includes('no Docker engine')) expect(other).toContain('./stack up makes sure of one');
    else expect(other).toBe(line);
  });
});

describe('./stack up, of a Docker that does all that it is told,', () => {
  it('says that stand-ins serve and how to go back, and lets Buildx add nothing of the moment to an image', async () => {
    const bin = await mkdtemp(join(elsewhere, 'path-'));
    // With containerd's image store it would be another image each time, and Compose would replace every container.
    await fake(
      join(bin, 'docker'),
      `case "$*" in
        'compose config') printf 'name: test\\nx-base-images:\\n  NGINX_IMAGE: nginx\\n  REDIS_IMAGE: stand-in/redis\\n' ;;
        'compose build'*) echo "attestations off: $BUILDX_NO_DEFAULT_ATTESTATIONS" ;;
        'compose exec'*curl*) echo 200 ;;
        inspect*) exit 1 ;;
        ps*) ;;
        *) echo 99.0 ;;
      esac`,
    );
    const script = join(checkout.path, 'host', 'base-images', 'build.sh');
    await fake(script, 'exit 0');
    const { code, stderr } = await ended('./stack', ['up'], checkout.path, {
      PATH: `${bin}:${process.env.PATH}`,
    });
    expect(stderr).toContain('attestations off: 1\n');
    expect(stderr).toMatch(
      /\nIt runs on stand-ins .* remove from \.env, and call \.\/stack up: REDIS_IMAGE \n$/,
    );
    expect(code).toBe(0);
  });
});
