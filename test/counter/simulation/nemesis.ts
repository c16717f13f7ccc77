import type { Random } from '../../support/random.ts';
import { EMPTY, type Keys } from '../models/redis.ts';
import { type PostgresProcess, type RedisProcess, Replica, type Surroundings } from './replica.ts';
import type { VirtualTime } from './virtual-time.ts';

/** What may go wrong in a history. Each is drawn by the seed, alone or with others. */
export const FAULTS = [
  'slow network', // replies and requests take up to 3 s, so that they come after the client's time-out
  'late requests', // what NGINX sends reaches a replica up to 12 s later, when a cut is over
  'lost replies', // what was asked has happened, and nobody is told
  'redis restarts empty',
  'redis restarts with old data',
  'redis fails over to a replica that lags', // one replica of web after the other notices; the old master lives on
  'redis loses its keys', // or one of the two
  'redis pauses',
  'redis unreachable for one replica',
  'postgres restarts',
  'postgres pauses',
  'postgres unreachable for one replica',
  'replica killed',
  'replica pauses',
  'resets',
] as const;
export type Fault = (typeof FAULTS)[number];

/** Causes the faults of one history, on replicas and stores that it owns. */
export class Nemesis {
  readonly replicas: Replica[];
  readonly postgres: PostgresProcess;
  readonly #around: Surroundings;
  readonly #time: VirtualTime;
  readonly #random: Random;
  #redis: RedisProcess;
  /** What Redis has on disk, or on a replica that lags. */
  #saved: Keys = EMPTY;
  #histories = 0;
  #started = 0;

  constructor(around: Surroundings, replicas: number) {
    this.#around = around;
    this.#time = around.time;
    this.#random = around.random;
    this.postgres = around.postgres;
    this.#redis = this.#startRedis(EMPTY);
    this.replicas = Array.from({ length: replicas }, () => this.#startReplica());
  }

  /** Saves what Redis holds, now and then. */
  async snapshots(untilMs: number): Promise<void> {
    while (this.#time.now() < untilMs) {
      await this.#time.sleep(this.#random.between(10, 600));
      this.#saved = { count: this.#redis.count, held: this.#redis.held };
    }
  }

  /** Causes a fault again and again, with pauses of up to so many milliseconds. */
  async cause(fault: Fault, times: number, pauseMs: number, untilMs: number): Promise<void> {
    await this.#time.sleep(this.#random.between(0, pauseMs));
    for (let n = 0; n < times && this.#time.now() < untilMs; n++) {
      await this.#once(fault);
      await this.#time.sleep(this.#random.between(20, pauseMs));
    }
  }

  async #once(fault: Fault): Promise<void> {
    const random = this.#random;
    const now = this.#time.now();
    switch (fault) {
      case 'redis restarts empty':
        return this.#restartRedis(EMPTY);
      case 'redis restarts with old data':
        return this.#restartRedis(this.#saved);
      case 'redis fails over to a replica that lags': {
        this.#redis = this.#startRedis(this.#saved);
        this.#tell(`redis fails over to ${this.#redis.history}, with ${JSON.stringify(this.#saved)}`);
        for (const replica of this.replicas) this.#reconnect(replica, random.between(0, 500));
        return;
      }
      case 'redis loses its keys':
        this.#tell(fault);
        this.#redis.count = undefined;
        if (random.chance(0.5)) this.#redis.held = undefined;
        return;
      case 'redis pauses':
        this.#tell(fault);
        this.#redis.pausedUntil = now + random.between(50, 1500);
        return;
      case 'redis unreachable for one replica':
        random.pick(this.replicas).noRedisUntil = now + random.between(50, 1500);
        return;
      case 'postgres restarts':
        this.#tell('postgres goes down');
        this.postgres.isDown = true;
        await this.#time.sleep(random.between(50, 2000));
        this.postgres.isDown = false;
        this.#tell('postgres is up');
        return;
      case 'postgres pauses':
        this.#tell(fault);
        this.postgres.pausedUntil = now + random.between(50, 2000);
        return;
      case 'postgres unreachable for one replica':
        random.pick(this.replicas).noPostgresUntil = now + random.between(50, 2000);
        return;
      case 'replica killed': {
        const index = Math.floor(random.draw() * this.replicas.length);
        const killed = this.replicas[index];
        if (killed) killed.isAlive = false;
        this.#tell(`${killed?.id} is killed`);
        this.replicas[index] = this.#startReplica();
        return;
      }
      case 'replica pauses': {
        const replica = random.pick(this.replicas);
        this.#tell(`${replica.id} pauses`);
        replica.pausedUntil = now + random.between(50, 2000);
        return;
      }
      default:
        // The network and the clients cause these themselves.
        return;
    }
  }

  #restartRedis(keys: Keys): void {
    this.#redis.isAlive = false;
    this.#redis = this.#startRedis(keys);
    this.#tell(`redis restarts as ${this.#redis.history} with ${JSON.stringify(keys)}`);
    for (const replica of this.replicas) {
      if (!replica.server.isAlive) this.#reconnect(replica, this.#random.between(1, 300));
    }
  }

  /** To the server that is there by then. */
  #reconnect(replica: Replica, afterMs: number): void {
    this.#time.after(afterMs, () => {
      replica.server = this.#redis;
    });
  }

  #startRedis(keys: Keys): RedisProcess {
    return { ...keys, history: ++this.#histories, isAlive: true, pausedUntil: 0 };
  }

  #startReplica(): Replica {
    return new Replica(`web${this.#started++}`, this.#redis, this.#around);
  }

  #tell(what: string): void {
    this.#around.tell(what);
  }
}
