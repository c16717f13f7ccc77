/** What becomes of the stack when the engine under it goes away. */
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { subject } from '../subject.ts';
import { until } from '../support/faults.ts';
import { Host } from '../support/host.ts';
import { docker, Stack } from '../support/stack.ts';
import { Switch } from '../support/switch.ts';
import { CHECKOUT } from '../support/this-checkout.ts';
import { Writers } from '../support/writers.ts';

const SERVICES = ['nginx', 'web', 'redis', 'postgres'];
/** With three replicas of web, and without passwords, which has done its work. */
const CONTAINERS = 6;
/** As ./stack installs it. */
const LIVE_RESTORE = resolve('host/daemon.json');

const stack = new Stack(`engine-${CHECKOUT}`, '80');
let network: Switch;
let host: Host;

/** The containers that run, and since when. */
async function running(): Promise<string[]> {
  const ids = (await docker('ps', '--quiet')).stdout.split('\n').filter(Boolean);
  const { stdout } = await docker('inspect', '--format', '{{.Name}} {{.State.StartedAt}}', ...ids);
  return stdout.trim().split('\n').toSorted();
}
const allRun = () => until(async () => (await running()).length === CONTAINERS);

const write = () => subject.write(host.address).then(() => true);
const count = async () => Number(await stack.sql(subject.count));

/** Writes until so many were answered, and goes on. */
async function load(answers: number): Promise<Writers> {
  const load = new Writers(host.address, 16);
  await until(() => load.acknowledged >= answers);
  return load;
}

describe('the stack on an engine that goes away', () => {
  beforeAll(async () => {
    network = await Switch.start(0);
    host = await Host.boot(`host-${CHECKOUT}`, network.port(1));
    await host.startEngine();
    // Where packages can be fetched.
    await stack.compose('build');
    const images = (await stack.compose('config', '--images')).split('\n').filter(Boolean);
    await host.load([...new Set(images)]);
    process.env.DOCKER_HOST = host.engine;
    await stack.compose('up', '--detach', '--no-build', '--wait', ...SERVICES);
  });
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
  });

  it.for([
    ['is stopped and started', () => host.endEngine('TERM')],
    ['is killed and started', () => host.endEngine('KILL')],
    ['loses power together with everything else', () => host.cutPower().then(() => host.boot())],
  ] as const)('is back by itself when the engine %s', async ([what, fault], { annotate }) => {
    const written = await count();
    const before = await load(100);
    const injected = performance.now();
    await fault();
    const ended = before.stop();
    const gone = performance.now();
    await host.startEngine();
    const there = performance.now();
    await until(write);
    const served = performance.now();
    await allRun();
    const after = await load(100);
    await Promise.all([ended, after.stop()]);

    expect((await count()) - written).toBeGreaterThanOrEqual(before.acknowledged + after.acknowledged);
    const [first, second, third] = [gone - injected, there - gone, served - there].map((ms) =>
      (ms / 1000).toFixed(1),
    );
    await annotate(
      `the engine ${what}: gone after ${first} s, there ${second} s later, answers ${third} s after that`,
      'figure',
    );
  });

  it('starts a container that was stopped by hand when the engine starts next', async () => {
    await stack.compose('stop', 'redis');
    await host.endEngine('TERM');
    await host.startEngine();
    await allRun();
  });

  it('serves for 30 s without an engine, if that has live-restore', async () => {
    await host.endEngine('TERM');
    await host.startEngine(LIVE_RESTORE);
    await allRun();
    // Without an engine no name is resolved: a replica that has no session with Postgres by then gets none. The counter fails back
    // with a write.
    await until(async () => (await write()) && stack.isReady());
    const containers = await running();

    await host.endEngine('TERM');
    // Longer than anything lasts that Docker's DNS is asked for: sessions with Postgres, NGINX's list of replicas.
    for (const since = performance.now(); performance.now() - since < 30_000; await sleep(200)) {
      expect(await write()).toBe(true);
    }

    await host.startEngine(LIVE_RESTORE);
    await until(write);
    expect(await running()).toEqual(containers);
  });

  it('keeps clients waiting once nobody reads its log, and answers each when the engine is back', async ({
    annotate,
  }) => {
    const written = await count();
    await host.endEngine('TERM');
    const clients = new Writers(host.address, 16);
    let before = Number.NaN;
    // More than the loop above sees, and then none for a second.
    await until(async () => {
      before = clients.acknowledged;
      await sleep(1000);
      return before > 150 && clients.acknowledged === before;
    });
    await host.startEngine(LIVE_RESTORE);
    await until(() => clients.acknowledged > before + 100);
    await clients.stop();
    expect(clients.errors).toEqual([]);
    expect((await count()) - written).toBeGreaterThanOrEqual(clients.acknowledged);
    await annotate(`requests that NGINX answers without an engine, which reads its log: ${before}`, 'figure');
  });

  it('has nothing to start after the stack was taken down', async () => {
    await stack.remove();
    await host.endEngine('TERM');
    await host.startEngine();
    expect((await docker('ps', '--all', '--quiet')).stdout).toBe('');
  });
});
