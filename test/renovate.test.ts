/** Which versions the project names, and that .github/renovate.json finds each of them. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const files = execFileSync('git', ['ls-files'], { encoding: 'utf8' }).trim().split('\n');
const read = (path: string) => readFileSync(path, 'utf8');

interface Manager {
  managerFilePatterns: string[];
  matchStrings: string[];
  depNameTemplate?: string;
}
const { customManagers }: { customManagers: Manager[] } = JSON.parse(read('.github/renovate.json'));

/** What Renovate's managers of regular expressions find in a file, as "redis:8.10-alpine". */
const found = (path: string) =>
  customManagers
    .filter(({ managerFilePatterns: patterns }) =>
      patterns.some((pattern) => new RegExp(pattern.slice(1, -1)).test(path)),
    )
    .flatMap(({ matchStrings, depNameTemplate }) =>
      matchStrings
        .flatMap((pattern) => [...read(path).matchAll(new RegExp(pattern, 'g'))])
        .map(({ groups }) => `${groups?.depName ?? depNameTemplate}:${groups?.currentValue}`),
    );

/** By setting, what a Compose file builds from unless .env says otherwise. */
const defaults = (path: string) =>
  Object.fromEntries(
    [...read(path).matchAll(/\$\{([A-Z]+_IMAGE):-([^}]*)\}/g)].map(([, name = '', image = '']) => [
      name,
      image,
    ]),
  );
const DEFAULTS = defaults('docker-compose.yml');
const ALL = { ...DEFAULTS, ...defaults('compose/https-acme.yml') };

it('each base image has one default, which docker-compose.yml has once, or the overlay that alone needs it', () => {
  expect(Object.keys(ALL)).toEqual([...Object.keys(DEFAULTS), 'LEGO_IMAGE']);
  expect(defaults('compose/https-own.yml')).toEqual({ NODE_IMAGE: DEFAULTS.NODE_IMAGE });
  expect(Object.keys(DEFAULTS).toSorted()).toEqual([
    'NGINX_IMAGE',
    'NODE_IMAGE',
    'POSTGRES_IMAGE',
    'REDIS_IMAGE',
  ]);
  expect(read('docker-compose.yml').match(/_IMAGE:-/g)).toHaveLength(4);
});

it('.env.example, the Dockerfiles and the list of stand-ins name the same defaults', () => {
  for (const [name, image] of Object.entries(ALL)) {
    expect(read('.env.example')).toContain(`\n#${name}=${image}\n`);
    expect(read('host/base-images/README.md')).toContain(`| \`${image}\` |`);
  }
  const swarm = /SWARM_POSTGRES_IMAGE(?::-|=)([^}\s]*)/;
  const ofTheSwarm = ['.env.example', 'swarm/images.yml', 'swarm/patroni/Dockerfile'].map(
    (path) => swarm.exec(read(path))?.[1],
  );
  expect(new Set(ofTheSwarm)).toEqual(new Set(['postgres:18-trixie']));
  const arguments_ = files
    .filter((path) => path.endsWith('Dockerfile') && !path.startsWith('test/'))
    .flatMap((path) =>
      [...read(path).matchAll(/^ARG ([A-Z]+_IMAGE)=(.*)$/gm)].map(([, name, image]) => [name, image]),
    );
  expect(Object.fromEntries(arguments_)).toEqual(
    Object.fromEntries(Object.entries(ALL).filter(([name]) => name !== 'REDIS_IMAGE')),
  );
});

it.each(files.filter((path) => path === 'compose/observability.yml'))(
  '%s, .env.example and the list of stand-ins name the same defaults',
  (path) => {
    const overlay = read(path);
    const overlaid = [...overlay.matchAll(/\$\{([A-Z]+_IMAGE):-([^}]*)\}/g)].filter(
      ([, name]) => name !== 'NODE_IMAGE',
    );
    expect(overlaid).toHaveLength(3);
    for (const [, name, image] of overlaid) {
      expect(read('.env.example')).toContain(`\n#${name}=${image}\n`);
      expect(read('host/base-images/README.md')).toContain(`| \`${image}\` |`);
    }
    expect(overlay).toContain(`NODE_IMAGE:-${DEFAULTS.NODE_IMAGE}}`);
  },
);

it('the stand-in for node is of the version of the image', () => {
  const version = /^NODE_VERSION=(\d+)$/m.exec(read('host/base-images/build.sh'))?.[1];
  expect(DEFAULTS.NODE_IMAGE).toMatch(new RegExp(`^node:${version}-`));
});

describe('Renovate finds', () => {
  // Tests name images that no registry has.
  const named = files
    .filter((path) => !path.startsWith('test/') && path !== 'package-lock.json')
    .flatMap((path) => {
      const names = [
        // With a variant, as all official tags here have one.
        ...read(path).matchAll(
          /(?<![\w/-])([a-z][a-z0-9./-]*:\d[\w.]*-(?:alpine|slim|bookworm|trixie)[\w.]*)/g,
        ),
        ...read(path).matchAll(/_IMAGE(?:=|:-)([a-z0-9][\w./-]*:[\w.-]+)/g),
        ...read(path).matchAll(/^ *image: *([a-z0-9][\w./:-]*)/gm),
        ...(path.endsWith('Dockerfile')
          ? read(path).matchAll(/^FROM (?!scratch)([a-z0-9][\w./-]*:[\w.-]+)/gm)
          : []),
      ].map(([, image = '']) => image);
      return [...new Set(names)].map((image) => [image, path] as const);
    });

  it('at least the defaults in each of the files that have them', () => {
    expect(named.length).toBeGreaterThanOrEqual(4 + 4 + 4 + 3);
  });

  it.each(named)('%s of %s', (image, path) => {
    expect(found(path)).toContain(image);
  });

  it('the version of the stand-in for node', () => {
    expect(found('host/base-images/build.sh')).toHaveLength(1);
  });

  it('no image where only an address, an owner or a module is named', () => {
    const all = files.filter((path) => !path.startsWith('test/')).flatMap(found);
    for (const image of all)
      expect(image).toMatch(
        /^((node|nginx|redis|postgres):\d+(\.\d+)?(-alpine|-slim|-trixie)?|prom[a-z]*\/[a-z-]+:v\d+\.\d+\.\d+|goacme\/lego:v\d+\.\d+)$/,
      );
  });
});
