/** A Swarm of three nodes, which are hosts of their own on this machine, and the stack on it. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Checkout, type Ended, ended } from './checkout.ts';
import { until } from './faults.ts';
import { Host } from './host.ts';
import { Switch } from './switch.ts';
import { Task } from './task.ts';
import { CHECKOUT, ROOT } from './this-checkout.ts';

/** What `patronictl list` says of a member of Postgres. */
export interface Member {
  name: string;
  role: 'Leader' | 'Sync Standby' | 'Replica';
  state: string;
  timeline: number;
}

export class Nodes implements AsyncDisposable {
  readonly nodes: Host[];
  readonly name = `swarm-${CHECKOUT}`;
  readonly #network: Switch;
  readonly #checkout: Checkout;

  private constructor(nodes: Host[], network: Switch, checkout: Checkout) {
    this.nodes = nodes;
    this.#network = network;
    this.#checkout = checkout;
  }

  /** Three managers, and nothing on them. */
  static async boot(): Promise<Nodes> {
    const network = await Switch.start(1);
    const nodes = await Promise.all([1, 2, 3].map((n) => Host.boot(`node${n}-${CHECKOUT}`, network.port(n))));
    const itself = new Nodes(nodes, network, await Checkout.copy());
    await Promise.all(nodes.map((node) => itself.startEngine(node)));
    const [first, ...others] = nodes;
    if (!first) throw new Error('there is no node');
    await first.docker('swarm', 'init', '--advertise-addr', first.port.address);
    for (const node of others) await itself.#join(node, first);
    return itself;
  }

  async #join(node: Host, manager: Host): Promise<void> {
    const token = (await manager.docker('swarm', 'join-token', '--quiet', 'manager')).trim();
    await node.docker('swarm', 'join', '--token', token, manager.port.address);
  }

  async startEngine(node: Host): Promise<void> {
    await node.startEngine(join(ROOT, 'swarm/daemon.json'));
  }

  /** Another machine, with an empty disk, comes in place of a node that is lost for good: docs/swarm.md. */
  async replace(node: Host): Promise<void> {
    const id = (await node.docker('info', '--format', '{{.Swarm.NodeID}}')).trim();
    await node.cutPower();
    await node.wipe();
    const manager = await this.manager();
    await until(
      async () =>
        (await manager.docker('node', 'inspect', '--format', '{{.Status.State}}', id)).trim() === 'down',
      60_000,
    );
    await manager.docker('node', 'demote', id);
    await manager.docker('node', 'rm', '--force', id);
    await this.bootAgain(node);
    await this.#join(node, manager);
  }

  /** A node that has lost power is back. */
  async bootAgain(node: Host): Promise<void> {
    await node.boot();
    await this.startEngine(node);
  }

  /** Changes a source of the copy that is deployed. Returns how to undo it. */
  async edit(file: string, from: string, to: string): Promise<() => Promise<void>> {
    const path = join(this.path, file);
    const text = await readFile(path, 'utf8');
    if (!text.includes(from)) throw new Error(`${file} has no '${from}'`);
    await writeFile(
      path,
      text.replace(from, () => to),
    );
    return () => writeFile(path, text);
  }

  /** Where the nodes find this machine. */
  get here(): string {
    return this.#network.address(1);
  }

  /** Where visitors find the nodes. */
  get addresses(): string[] {
    return this.nodes.map((node) => node.address);
  }

  get path(): string {
    return this.#checkout.path;
  }

  /** Runs a task of `./stack swarm`. */
  async stack(task: string, settings: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return ended('./stack', ['swarm', ...task.split(' ')], this.path, this.#env(settings));
  }

  /** Begins a task of `./stack swarm`. */
  begin(task: string): Task {
    return new Task(this.path, this.#env(), ['swarm', ...task.split(' ')]);
  }

  /** As stack(). @throws unless it ends well */
  async does(task: string, settings: NodeJS.ProcessEnv = {}): Promise<string> {
    const { code, stdout, stderr } = await this.stack(task, settings);
    if (code !== 0) {
      throw new Error(
        `./stack swarm ${task} ended with ${code}:\n${stdout}${stderr}\n${await this.report()}`,
      );
    }
    return stdout + stderr;
  }

  /** A manager that answers. */
  async manager(): Promise<Host> {
    for (const node of this.nodes) {
      const control = node.docker('info', '--format', '{{.Swarm.ControlAvailable}}');
      if ((await control.catch(() => '')).trim() === 'true') return node;
    }
    throw new Error('no manager answers');
  }

  /** The containers of a service's tasks: on which node, and which. */
  async containers(service: string): Promise<{ node: Host; id: string }[]> {
    const filters = ['--filter', `label=com.docker.swarm.service.name=${this.name}_${service}`];
    const found = this.nodes.map(async (node) => {
      const ids = await node.docker('ps', '--quiet', ...filters).catch(() => '');
      return ids
        .split('\n')
        .filter(Boolean)
        .map((id) => ({ node, id }));
    });
    return (await Promise.all(found)).flat();
  }

  /** Runs a command in one container of a service: what it wrote. */
  async inside(service: string, ...command: string[]): Promise<string> {
    const [task] = await this.containers(service);
    if (!task) throw new Error(`${service} does not run`);
    return task.node.docker('exec', task.id, ...command);
  }

  /** The members of Postgres, as one that answers sees them. */
  async members(): Promise<Member[]> {
    for (const n of [1, 2, 3]) {
      const list = ['patronictl', '--config-file', '/tmp/patroni.yml', 'list', '--format', 'json'];
      const json = await this.inside(`postgres-${n}`, ...list).catch(() => '');
      if (json === '') continue;
      return JSON.parse(json).map((member: Record<string, unknown>) => ({
        name: member.Member,
        role: member.Role,
        state: member.State,
        timeline: member.TL,
      }));
    }
    return [];
  }

  /** The number of the primary and of its node: postgres-2 is on the second. */
  async primary(): Promise<number | undefined> {
    const leader = (await this.members()).find(({ role, state }) => role === 'Leader' && state === 'running');
    return leader && Number(leader.name.at(-1));
  }

  /** What the primary says on one query, as the superuser. */
  async sql(query: string): Promise<string> {
    const primary = await this.primary();
    return (await this.inside(`postgres-${primary}`, 'psql', '-Atc', query)).trim();
  }

  /** Changes the number of replicas. Swarm may forget a task that was just starting (4 of 3): to say it again helps. */
  async scale(replicas: number): Promise<void> {
    const manager = await this.manager();
    await until(async () => {
      await manager.docker('service', 'scale', '--detach', `${this.name}_web=${replicas}`);
      await sleep(5000);
      const list = ['service', 'ls', '--filter', `name=${this.name}_web`, '--format', '{{.Replicas}}'];
      return (await manager.docker(...list)).startsWith(`${replicas}/${replicas}`);
    }, 120_000);
  }

  /** Web runs on every node, and so does etcd, as docs/swarm.md says to see to when a node is back. */
  async spread(): Promise<void> {
    const web = new Set((await this.containers('web')).map(({ node }) => node));
    const etcd = await Promise.all([1, 2, 3].map((n) => this.containers(`etcd-${n}`)));
    if (web.size < this.nodes.length || etcd.flat().length < 3) await this.does('deploy');
  }

  /** Do all managers follow one of them? After a cut one may not yet, and its candidacy costs the Swarm its leader. */
  async #agree(): Promise<boolean> {
    const seen = this.nodes.map((node) => node.docker('node', 'ls', '--format', '{{.ManagerStatus}}'));
    return (await Promise.all(seen)).every(
      (managers) => managers.trim().split('\n').toSorted().join() === 'Leader,Reachable,Reachable',
    );
  }

  /** When all is as it was deployed: every task runs, and Postgres has a primary and two standbys, one of them synchronous. */
  async whole(replicas = 3): Promise<void> {
    await until(async () => {
      if (!(await this.#agree())) return false;
      const members = (await this.members()).map(({ role, state }) => `${role} ${state}`);
      const expected = 'Leader running,Replica streaming,Sync Standby streaming';
      if (members.toSorted().join() !== expected) return false;
      const counts = await Promise.all(['web', 'nginx', 'redis'].map((service) => this.containers(service)));
      return counts.map(({ length }) => length).join() === `${replicas},3,1`;
    }, 180_000);
  }

  /** What the Swarm says of itself where something failed: tasks that ended, and the members of Postgres. */
  async report(): Promise<string> {
    const format = '{{.Name}} {{.DesiredState}} {{.CurrentState}} {{.Error}}';
    const tasks = await (await this.manager())
      .docker('stack', 'ps', '--format', format, this.name)
      .catch(String);
    const failed = tasks.split('\n').filter((line) => !/ (Running Running|Complete Complete)/.test(line));
    return [...failed, JSON.stringify(await this.members())].join('\n');
  }

  #env(settings: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return {
      ...process.env,
      COMPOSE_PROJECT_NAME: this.name,
      HTTP_PORT: '80',
      SWARM_NODES: this.nodes.map(({ engine }) => engine).join(' '),
      // This kernel may lack ESP.
      SWARM_ENCRYPTION: 'off',
      ...settings,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    await this.#network[Symbol.asyncDispose]();
    await this.#checkout[Symbol.asyncDispose]();
  }
}
