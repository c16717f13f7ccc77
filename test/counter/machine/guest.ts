/** The project's stack in a virtual machine: its images and its Compose file, without a network to fetch anything from. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { authority, OVERLAYS, type Settings } from '../../support/authority.ts';
import { baseImages } from '../../support/base-images.ts';
import { until } from '../../support/faults.ts';
import { CHECKOUT, freePort, ROOT } from '../../support/this-checkout.ts';
import type { Agent } from './agent.ts';
import { CACHE, copyDisk, Machine } from './machine.ts';

const PROJECT = `machine-${CHECKOUT}`;
const FILES = ['docker-compose.yml', 'test/counter/machine/rare-health-checks.yml'];
/** One can fail and another one answer. More only make an emulated processor slower. */
const REPLICAS = 2;
const CONTAINERS = 3 + REPLICAS;
/** After a power failure an emulated machine takes 150 to 250 s on two busy cores. */
const LIMIT_MS = 900_000;

/** What a command on the host writes to stdout, about the stack with HTTPS. @throws unless it ends well, in time */
function run(settings: Settings, command: string, ...args: string[]): string {
  const COMPOSE_FILE = ['docker-compose.yml', ...OVERLAYS].join(':');
  return execFileSync(command, args, {
    cwd: ROOT,
    env: { ...process.env, ...settings, COMPOSE_PROJECT_NAME: PROJECT, COMPOSE_FILE },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: LIMIT_MS,
  });
}

export class Guest {
  readonly machine: Machine;
  /** Of HTTPS, and where its files are on the host. */
  readonly #settings: Settings;

  private constructor(machine: Machine, settings: Settings) {
    this.machine = machine;
    this.#settings = settings;
  }

  /**
   * Boots a machine in which the images of this checkout are, built on the host. A disk that has them already is kept in .cache.
   * @param directory for the disk and for what qemu makes
   * @param made is told of each machine before it starts, so that it can be ended
   */
  static async boot(directory: string, made: (machine: Machine) => void): Promise<Guest> {
    Object.assign(process.env, baseImages());
    await mkdir(join(directory, 'authority'));
    const settings = await authority(join(directory, 'authority'));
    run(settings, 'test/counter/machine/disk.sh');
    console.error('Building the images');
    run(settings, 'host/build.sh');
    const listed = run(settings, 'docker', 'compose', 'config', '--images').trim().split('\n');
    // Compose lists them in no order.
    const images = [...new Set(listed)].toSorted();
    const ids = run(settings, 'docker', 'image', 'inspect', '--format', '{{.RepoTags}} {{.Id}}', ...images);
    const [loaded, label] = [join(CACHE, 'loaded.raw'), join(CACHE, 'loaded')];
    const known = existsSync(loaded) && (await readFile(label, 'utf8').catch(() => '')) === ids;
    const archive = known ? undefined : join(directory, 'images.tar');
    if (archive) run(settings, 'docker', 'save', '--output', archive, ...images);

    const machine = new Machine(directory, { 80: await freePort(), 443: settings.HTTPS_PORT }, archive);
    made(machine);
    copyDisk(known ? loaded : join(CACHE, 'disk.raw'), machine.disk);
    console.error('Booting');
    await machine.start();
    if (archive) {
      console.error('Loading the images, which takes minutes on an emulated processor');
      await machine.agent.run('docker load --quiet < /dev/vdb', '', 2 * LIMIT_MS);
      await machine.copy(`${loaded}.new`);
      // Named when both are whole: a disk that was cut off must not be taken for one.
      await writeFile(label, '');
      await rename(`${loaded}.new`, loaded);
      await writeFile(label, ids);
    }
    return new Guest(machine, settings);
  }

  get agent(): Agent {
    return this.machine.agent;
  }
  get address(): string {
    return this.machine.address;
  }
  container(service: string): string {
    return `${PROJECT}-${service}-1`;
  }

  /** Where port 443 is on the host. */
  get httpsPort(): string {
    return this.#settings.HTTPS_PORT;
  }

  /** Starts the stack from its own files. */
  async up(): Promise<void> {
    await this.#start([], {});
    await this.ready();
  }

  /** The same stack with HTTPS, and certificates of this profile from an authority beside it. */
  async secure(ACME_PROFILE: Settings['ACME_PROFILE']): Promise<void> {
    const AUTHORITY_DIR = '/srv/authority';
    for (const file of await readdir(this.#settings.AUTHORITY_DIR))
      await this.#write(
        `authority/${file}`,
        await readFile(join(this.#settings.AUTHORITY_DIR, file), 'utf8'),
      );
    // As users have it: once an hour.
    const ACME_CHECK_SECONDS = '3600';
    const own = { AUTHORITY_DIR, HTTPS_PORT: '443', ACME_PROFILE, ACME_CHECK_SECONDS };
    await this.#start(OVERLAYS, { ...this.#settings, ...own });
  }

  async #start(overlays: string[], settings: NodeJS.ProcessEnv): Promise<void> {
    const files = [...FILES, ...overlays];
    for (const file of files) await this.#write(file, await readFile(join(ROOT, file), 'utf8'));
    const all = {
      ...baseImages(),
      ...settings,
      COMPOSE_PROJECT_NAME: PROJECT,
      COMPOSE_FILE: files.join(':'),
      WEB_REPLICAS: REPLICAS,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}=${value}\n`);
    await this.#write('.env', lines.join(''));
    await this.compose('up', '--detach', '--no-build');
  }

  async #write(file: string, text: string): Promise<void> {
    await this.agent.run(`cd /srv && mkdir -p "$(dirname ${file})" && cat > ${file}`, text);
  }

  async compose(...args: string[]): Promise<string> {
    return this.agent.run(`cd /srv && docker compose --progress quiet ${args.join(' ')}`, '', LIMIT_MS);
  }

  /** Until all containers run and the application says, through NGINX, that it can count. Nobody starts anything. */
  async ready(): Promise<void> {
    await until(async () => {
      const { ok } = await fetch(`${this.address}/health`, { signal: AbortSignal.timeout(10_000) });
      return ok && (await this.agent.run('docker ps --quiet | wc -l')) === String(CONTAINERS);
    }, LIMIT_MS);
  }

  /** What Postgres says on one query, as the superuser, without headings. */
  async sql(query: string): Promise<string> {
    return this.agent.run(`docker exec ${this.container('postgres')} psql -Atc '${query}'`);
  }
}
