/** What happens to a Swarm of three nodes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../support/faults.ts';
import type { Host } from '../../support/host.ts';
import type { Member, Nodes } from '../../support/nodes.ts';
import { BOUND_MS, type Fault } from './fault.ts';

/** Longer than every time-out: Postgres fails over after 30 s at most, NGINX gives up after 42 s. */
const LONG_MS = 60_000;

/** The service of the member of Postgres that has this role. */
async function memberOf(swarm: Nodes, role: Member['role']): Promise<string> {
  const member = (await swarm.members()).find((member) => member.role === role);
  if (!member) throw new Error(`no member of Postgres is ${role}`);
  return member.name;
}

/** Its node. */
async function nodeOf(swarm: Nodes, role: Member['role']): Promise<Host> {
  const [task] = await swarm.containers(await memberOf(swarm, role));
  if (!task) throw new Error(`the ${role} of Postgres does not run`);
  return task.node;
}

/** The node loses power, and is back after a while. */
const powerOff =
  (role: Member['role']): Fault['work'] =>
  async (swarm) => {
    const node = await nodeOf(swarm, role);
    await node.cutPower();
    await sleep(30_000);
    await swarm.bootAgain(node);
    return [node];
  };

/** The primary's node reaches its visitors, and no other node. */
const isolate =
  (before: (swarm: Nodes) => Promise<() => Promise<void>>): Fault['work'] =>
  async (swarm) => {
    const after = await before(swarm);
    const node = await nodeOf(swarm, 'Leader');
    const heal = await node.cutOffFrom(swarm.nodes.filter((other) => other !== node));
    await sleep(LONG_MS);
    await heal();
    await after();
    return [node];
  };

/** Commits do not wait for a standby. */
async function withoutStandby(swarm: Nodes): Promise<() => Promise<void>> {
  const set = (value: string) =>
    swarm.inside(
      'postgres-1',
      'patronictl',
      '--config-file',
      '/tmp/patroni.yml',
      'edit-config',
      '--force',
      '--set',
      value,
    );
  await set('synchronous_mode=false');
  await until(async () => (await swarm.sql('SHOW synchronous_standby_names')) === '');
  return async () => {
    await set('synchronous_mode=true');
  };
}

async function pause(swarm: Nodes, services: string[], ms: number): Promise<void> {
  const tasks = (await Promise.all(services.map((service) => swarm.containers(service)))).flat();
  await Promise.all(tasks.map(({ node, id }) => node.docker('pause', id)));
  await sleep(ms);
  await Promise.all(tasks.map(({ node, id }) => node.docker('unpause', id)));
}

async function kill(swarm: Nodes, services: string[]): Promise<void> {
  const tasks = (await Promise.all(services.map((service) => swarm.containers(service)))).map(
    ([task]) => task,
  );
  await Promise.all(tasks.map((task) => task?.node.docker('kill', task.id)));
}

const ROUTES = 'web/src/counter/routes.ts';
const VISIT = '      const number = await counter.visit';

export const FAULTS: Fault[] = [
  {
    name: 'a rolling update to a new image',
    async work(swarm) {
      await swarm.edit(ROUTES, VISIT, `      log.trace('another version');\n${VISIT}`);
      await swarm.does('deploy');
      return [];
    },
  },
  {
    name: 'an update to an image that never gets ready',
    async work(swarm) {
      const undo = await swarm.edit(
        'web/src/app.ts',
        "(await readiness()).status !== 'unavailable'",
        'false',
      );
      const { code, stderr } = await swarm.stack('deploy');
      await undo();
      if (code === 0 || !stderr.includes('web was not updated'))
        throw new Error(`the deploy ended with ${code}: ${stderr}`);
      return [];
    },
  },
  {
    name: 'an update of Postgres, whose primary hands over once',
    async work(swarm) {
      const timeline = async () => Math.max(...(await swarm.members()).map((member) => member.timeline));
      const before = await timeline();
      await swarm.edit('swarm/patroni/patroni.yml', 'scope:', '# Another version.\nscope:');
      await swarm.does('deploy');
      const handovers = (await timeline()) - before;
      if (handovers !== 1) throw new Error(`the primary handed over ${handovers} times`);
      return [];
    },
  },
  {
    name: 'web from 3 replicas to 9, and back to 3',
    async work(swarm) {
      for (const replicas of [9, 3]) {
        await swarm.scale(replicas);
        await swarm.whole(replicas);
      }
      return [];
    },
  },
  { name: "the primary's node loses power for 30 s", work: powerOff('Leader') },
  { name: "the synchronous standby's node loses power for 30 s", work: powerOff('Sync Standby') },
  { name: 'the third node loses power for 30 s', work: powerOff('Replica') },
  {
    name: "the primary's node is cut off for 60 s",
    async work(swarm) {
      const node = await nodeOf(swarm, 'Leader');
      const heal = await node.port.cut();
      await sleep(LONG_MS);
      await heal();
      return [node];
    },
  },
  {
    name: "the primary's node is cut off from the others for 60 s, not from its visitors",
    work: isolate(async () => async () => {}),
  },
  {
    name: 'the same without synchronous replication (planted)',
    planted: true,
    work: isolate(withoutStandby),
  },
  {
    name: 'a deploy while the third node is away, and another one when it is back',
    async work(swarm) {
      const node = await nodeOf(swarm, 'Replica');
      await node.cutPower();
      await swarm.edit(ROUTES, VISIT, `      log.trace('one more version');\n${VISIT}`);
      const said = await swarm.does('deploy');
      await swarm.bootAgain(node);
      if (!said.includes('Postgres stays as it is')) throw new Error(`the deploy said: ${said}`);
      await swarm.whole();
      await swarm.does('deploy');
      return [node];
    },
  },
  {
    name: 'a node that keeps data is replaced by an empty one',
    async work(swarm) {
      const node = await nodeOf(swarm, 'Sync Standby');
      await swarm.replace(node);
      await swarm.does('deploy');
      return [node];
    },
  },
  {
    name: "the primary's node is drained and its engine restarted, as an upgrade does",
    async work(swarm) {
      const node = await nodeOf(swarm, 'Leader');
      const id = (await node.docker('info', '--format', '{{.Swarm.NodeID}}')).trim();
      const other = swarm.nodes.find((other) => other !== node) ?? node;
      await other.docker('node', 'update', '--availability', 'drain', id);
      await until(async () => (await node.docker('ps', '--quiet')) === '', 60_000);
      await node.endEngine('TERM');
      await swarm.startEngine(node);
      await until(async () => (await node.docker('node', 'ls')) !== '', 60_000);
      await other.docker('node', 'update', '--availability', 'active', id);
      await swarm.whole();
      await swarm.does('deploy');
      return [node];
    },
  },
  {
    name: 'the engine of the leading manager is restarted',
    async work(swarm) {
      const manager = await swarm.manager();
      const leader = (await manager.docker('node', 'ls', '--format', '{{.ManagerStatus}} {{.ID}}')).match(
        /^Leader (\S+)/m,
      )?.[1];
      const ids = await Promise.all(
        swarm.nodes.map((node) => node.docker('info', '--format', '{{.Swarm.NodeID}}')),
      );
      const node = swarm.nodes[ids.findIndex((id) => id.trim() === leader)];
      if (!node) throw new Error('no manager leads');
      await node.endEngine('TERM');
      await swarm.startEngine(node);
      return [node];
    },
  },
  {
    name: 'a majority of managers is killed, and started after 15 s',
    outlasts: true,
    async work(swarm) {
      const lost = swarm.nodes.slice(0, 2);
      await Promise.all(lost.map((node) => node.endEngine('KILL')));
      await sleep(15_000);
      await Promise.all(lost.map((node) => swarm.startEngine(node)));
      return lost;
    },
  },
  {
    name: 'the primary and a replica of web are killed together',
    async work(swarm) {
      await kill(swarm, [await memberOf(swarm, 'Leader'), 'web']);
      return [];
    },
  },
  {
    name: 'the primary and the synchronous standby are paused for 10 s',
    async work(swarm) {
      await pause(swarm, [await memberOf(swarm, 'Leader'), await memberOf(swarm, 'Sync Standby')], 10_000);
      return [];
    },
  },
  {
    name: 'the primary is paused until another one has its place, and comes back',
    async work(swarm) {
      const former = await memberOf(swarm, 'Leader');
      const [task] = await swarm.containers(former);
      await task?.node.docker('pause', task.id);
      await until(async () => {
        const primary = await swarm.primary();
        return primary !== undefined && `postgres-${primary}` !== former;
      }, BOUND_MS);
      await task?.node.docker('unpause', task.id);
      return [];
    },
  },
];
