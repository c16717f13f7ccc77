/**
 * What `./stack up` installs where there is no engine, asked of the package index of each suite of Debian: the script runs
 * as it is, with a configuration of apt's own that names an empty system of that suite and has apt simulate (`apt-get -s`).
 * So this shows which packages of which versions would be installed, and not that they run there.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);

/** The mirror that this machine uses. */
async function mirror(): Promise<string> {
  const { stdout } = await run('sh', ['-c', '. host/lib.sh && debian_mirror']);
  return stdout.trim();
}

interface Simulated {
  /** Of each package that would be installed, its version. */
  packages: Map<string, string>;
  /** The suites that it comes from, as apt has them: "Debian:12.11/oldstable". */
  origin(name: string): string | undefined;
  sources: string;
}

/** What host/engine.sh installs on an empty system of these suites. */
async function install(...suites: string[]): Promise<Simulated> {
  await using root = await mkdtempDisposable(join(tmpdir(), 'apt-'));
  const path = (...names: string[]) => join(root.path, ...names);
  for (const folder of ['apt.conf.d', 'sources.list.d', 'preferences.d'])
    await mkdir(path('etc', 'apt', folder), { recursive: true });
  await mkdir(path('var', 'lib', 'dpkg'), { recursive: true });
  await writeFile(path('var', 'lib', 'dpkg', 'status'), '');
  await writeFile(
    path('apt.conf'),
    [
      `Dir "${root.path}/";`,
      `Dir::State::status "${path('var', 'lib', 'dpkg', 'status')}";`,
      'APT::Get::Simulate "true";',
      'Acquire::Languages "none";',
      // A mirror that is a snapshot is past its date.
      'Acquire::Check-Valid-Until "false";',
    ].join('\n'),
  );
  await writeFile(
    path('etc', 'apt', 'sources.list.d', 'debian.sources'),
    [
      'Types: deb',
      `URIs: ${await mirror()}`,
      `Suites: ${suites.join(' ')}`,
      'Components: main',
      'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg',
      '',
    ].join('\n'),
  );
  const { stdout } = await run('host/engine.sh', ['install'], {
    env: { ...process.env, APT_CONFIG: path('apt.conf') },
    maxBuffer: 2 ** 26,
  });
  const lines = [...stdout.matchAll(/^Inst (\S+) \((\S+) (\S+)/gm)];
  return {
    packages: new Map(lines.map(([, name = '', version = '']) => [name, version])),
    origin: (name) => lines.find((line) => line[1] === name)?.[3],
    sources: await readFile(path('etc', 'apt', 'sources.list.d', 'docker-from-forky.sources'), 'utf8').catch(
      () => '',
    ),
  };
}

/** The numbers of "2.26.1-4", as text that sorts. */
const version = (text = '') =>
  (/^(?:\d+:)?(\d+)\.(\d+)/.exec(text)?.slice(1) ?? []).map((part) => part.padStart(4, '0')).join('.');

describe.each([
  { release: 'Debian 12', suites: ['bookworm', 'bookworm-updates'], pinned: true },
  { release: 'Debian 13', suites: ['trixie', 'trixie-updates'], pinned: false },
  { release: 'forky', suites: ['forky'], pinned: false },
])('a bare $release', ({ suites, pinned }) => {
  it('gets an engine, its client, Compose and Buildx, new enough, and what they need at run time', async () => {
    const { packages, origin, sources } = await install(...suites);
    // As host/engine.sh asks for it.
    expect(version(packages.get('docker.io')) >= version('25.0')).toBe(true);
    expect(version(packages.get('docker-compose')) >= version('2.25')).toBe(true);
    for (const name of ['docker-cli', 'docker-buildx', 'containerd', 'runc', 'iptables', 'ca-certificates'])
      expect([...packages.keys()]).toContain(name);
    // docker-init, for `init: true`.
    expect([...packages.keys()].filter((name) => /^tini(-static)?$/.test(name))).toHaveLength(1);
    expect(sources).toMatch(pinned ? /^Suites: forky$/m : /^$/);
    if (pinned) {
      // Of the newer suite nothing but Docker.
      const foreign = [...packages.keys()].filter(
        (name) => !/^Debian(-Security)?:12/.test(origin(name) ?? ''),
      );
      expect(foreign.toSorted()).toEqual([
        'containerd',
        'docker-buildx',
        'docker-cli',
        'docker-compose',
        'docker.io',
        'tini-static',
      ]);
    }
  });
});
