/**
 * One history of the real counter: three replicas of it, on stores in memory that behave as Redis and Postgres do, in
 * virtual time, under a schedule that a seed decides. The same seed gives the same history, event by event.
 *
 * The method is FoundationDB's deterministic simulation (https://apple.github.io/foundationdb/testing.html).
 */
import { setImmediate } from 'node:timers/promises';
import { Counter, type PostgresStore, type RedisStore, type Row } from '../../../web/src/counter/counter.ts';
import { StoreError } from '../../../web/src/unavailable.ts';
import { check, type Operation, type Verdict } from '../checker.ts';

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

/** Mistakes that the stores and their clients could make; each breaks a promise, which the checker must notice. */
export const BUGS = [
  'increment without the epoch check',
  'increment without looking for the count',
  'a server is not told from its predecessor',
  'assignment in place of GREATEST',
  'record without the fence',
  'acknowledge before the commit',
  'an install is sent twice',
  'a late install is accepted',
  'fallback without a new epoch',
  'hand back without a new epoch',
  'a reset only deletes the key',
  'a repeated reset resets again',
  'a late reset undoes a later one',
] as const;
export type Bug = (typeof BUGS)[number];

export interface Simulation {
  seed: number;
  /** Undefined: the seed chooses up to four. */
  faults?: readonly Fault[];
  bug?: Bug | undefined;
  /** The class under test, for a mutant of it. */
  counter?: typeof Counter;
}

export interface History {
  seed: number;
  faults: readonly Fault[];
  operations: Operation[];
  verdict: Verdict;
  /** What happened, for whoever looks into a failure. */
  trace: string[];
  /** Who counts when all faults are over, and where the count is. */
  counting: Row['counting'];
  count: number;
  /** What two visits got from each replica, asked directly, after a time in which nobody visited. */
  afterQuiet: ('counted' | 'refused')[];
}

const REPLICAS = 3;
const CLIENTS = 8;
/** Faults happen in the first so many milliseconds; then everything heals, and the clients go on for a while. */
const TROUBLE_MS = 3000;
const TOTAL_MS = 12_000;
/** Then nobody visits for longer than a visit waits: a replica has to find out by itself that Postgres is back. */
const QUIET_MS = 7000;
const REDIS_TIMEOUT_MS = 150;
const POSTGRES_TIMEOUT_MS = 750;
const WAIT_MS = 5000;
/** NGINX's time-outs: of a quick attempt, of the patient one, and how long the latter may try others (nginx.conf). */
const TRY_MS = 400;
const PATIENT_MS = 4900;
const PATIENT_TRIES_MS = 500;

/** Mulberry32 (public domain, Tommy Ettinger): small, and good enough to schedule by. */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Virtual time: what is due next happens next, and time jumps there. */
class VirtualTime {
  #now = 0;
  #due: { at: number; order: number; callback: (() => void) | undefined }[] = [];
  #order = 0;

  now = () => this.#now;

  after = (ms: number, callback: () => void): (() => void) => {
    const event: { at: number; order: number; callback: (() => void) | undefined } = {
      at: this.#now + ms,
      order: this.#order++,
      callback,
    };
    // A heap would be faster for thousands; there are some dozens.
    let i = this.#due.length;
    while (i > 0 && later(this.#due[i - 1], event)) i--;
    this.#due.splice(i, 0, event);
    return () => {
      event.callback = undefined;
    };
  };

  sleep = (ms: number): Promise<void> => new Promise((resolve) => this.after(ms, resolve));

  /** Runs everything until nothing is due any more. */
  async run(): Promise<void> {
    for (let event = this.#due.pop(); event; event = this.#due.pop()) {
      if (!event.callback) continue;
      this.#now = event.at;
      event.callback();
      // Lets every promise that this settled, and those that these settle, run to their next wait.
      await setImmediate();
    }
  }
}

/** Sorted with what is due first at the end. */
function later(a: { at: number; order: number } | undefined, b: { at: number; order: number }): boolean {
  return a !== undefined && (a.at < b.at || (a.at === b.at && a.order < b.order));
}

type Data = Pick<RedisServer, 'count' | 'held'>;
const NOTHING: Data = { count: undefined, held: undefined };

/** A Redis process: it has its own replication id from its start to its end. */
class RedisServer {
  alive = true;
  pausedUntil = 0;
  count: number | undefined;
  held: string | undefined;
  readonly history: string;

  constructor(history: string, data: Data = NOTHING) {
    this.history = history;
    this.count = data.count;
    this.held = data.held;
  }
}

export async function simulate({ seed, bug, ...options }: Simulation): Promise<History> {
  const draw = random(seed);
  const between = (low: number, high: number) => low + draw() * (high - low);
  const chance = (probability: number) => draw() < probability;
  const pick = <T>(from: readonly T[]): T => from[Math.floor(draw() * from.length)] as T;

  const faults = options.faults ?? FAULTS.filter(() => chance(3 / FAULTS.length)).slice(0, 4);
  const has = (fault: Fault) => faults.includes(fault) && time.now() < TROUBLE_MS;
  /** A site with one visitor, who stays away once there is trouble: no visit makes a replica look for Postgres. */
  const quiet = chance(0.3);
  const time = new VirtualTime();
  const trace: string[] = [];
  const tell = (what: string) => trace.push(`${time.now().toFixed(1)} ${what}`);

  // ---- Postgres: one row, whose changes are atomic and never forgotten.
  const row: Row = { count: 0, epoch: 1, counting: 'redis' };
  const resets = new Map<string, number>();
  const postgres = { down: false, pausedUntil: 0 };
  let surplus = 0;

  const sql = {
    read: () => ({ ...row }),
    record: (epoch: number, count: number) => {
      if (epoch !== row.epoch && bug !== 'record without the fence') return false;
      row.count = bug === 'assignment in place of GREATEST' ? count : Math.max(row.count, count);
      return true;
    },
    takeOver: (n: number, insist: boolean) => {
      if (row.counting === 'redis' && !insist) return undefined;
      row.count += n;
      if (row.counting === 'redis' && bug !== 'fallback without a new epoch') row.epoch++;
      row.counting = 'postgres';
      return { ...row };
    },
    handBack: (seen: number) => {
      if (row.epoch !== seen) return undefined;
      if (bug !== 'hand back without a new epoch') row.epoch++;
      row.counting = 'redis';
      return { ...row };
    },
    reset: (id: string, seen: number, sentAt: number): Row | 'moved' | 'done' => {
      const late = resets.values().some((other) => other > sentAt);
      if (late && bug !== 'a late reset undoes a later one') return 'done';
      if (resets.has(id) && bug !== 'a repeated reset resets again') return 'done';
      if (row.epoch !== seen) return 'moved';
      resets.set(id, sentAt);
      row.count = 0;
      if (bug !== 'a reset only deletes the key') row.epoch++;
      row.counting = 'redis';
      return { ...row };
    },
  };

  // ---- Redis: servers come and go; each replica of web knows one of them.
  let servers = 0;
  let redis = new RedisServer(`history${servers++}`);
  let old: Data = NOTHING;

  const historyOf = (server: RedisServer) =>
    bug === 'a server is not told from its predecessor' ? 'any' : server.history;
  const lua = {
    increment: (server: RedisServer, epoch: number, n: number) => {
      const valid =
        server.held === `${epoch} ${historyOf(server)}` || bug === 'increment without the epoch check';
      const there = server.count !== undefined || bug === 'increment without looking for the count';
      if (!valid || !there) return undefined;
      server.count = (server.count ?? 0) + n;
      return server.count;
    },
    install: (server: RedisServer, epoch: number, count: number) => {
      const [held, history] = server.held?.split(' ') ?? [];
      const current = history === historyOf(server) && Number(held) >= epoch;
      if (current && bug !== 'a late install is accepted') return;
      server.held = `${epoch} ${historyOf(server)}`;
      server.count = count;
    },
    deleteKey: (server: RedisServer) => {
      server.count = 0;
    },
  };

  // ---- The network between a replica and a store.
  const delay = () => (has('slow network') && chance(0.1) ? between(20, 3000) : between(0.1, 2));

  /** Sends a request, which is carried out once at most, at the store's own time. */
  function call<T>(
    name: string,
    timeoutMs: number,
    target: { reachable: () => boolean; refuses: () => boolean; pausedUntil: () => number },
    carryOut: () => T,
    lost: (answer: T) => void = () => {},
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      let waiting = true;
      const fail = (why: string) => {
        if (waiting) tell(`${name} fails: ${why}`);
        waiting = false;
        reject(new StoreError(`${name}: ${why}`));
      };
      time.after(timeoutMs, () => fail('time-out'));
      if (target.refuses() && chance(0.5)) {
        time.after(0.5, () => fail('refused'));
        return;
      }
      const arrive = () => {
        if (time.now() < target.pausedUntil()) {
          time.after(target.pausedUntil() - time.now() + 0.1, arrive);
          return;
        }
        if (!target.reachable()) return;
        const answer = carryOut();
        tell(`${name} -> ${JSON.stringify(answer)}`);
        const reply = () => {
          if (!waiting) lost(answer);
          else resolve(answer);
          waiting = false;
        };
        if (has('lost replies') && chance(0.05)) {
          // The connection breaks: sooner noticed than a time-out, or not.
          lost(answer);
          if (chance(0.5)) time.after(delay(), () => fail('connection lost'));
        } else if (target.reachable()) time.after(delay(), reply);
        else lost(answer);
      };
      time.after(delay(), arrive);
    });
  }

  // ---- Replicas of web: the real counter.
  interface Replica {
    id: string;
    counter: Counter;
    alive: boolean;
    pausedUntil: number;
    server: RedisServer;
    noRedisUntil: number;
    noPostgresUntil: number;
  }

  let started = 0;
  function start(): Replica {
    const replica = {
      id: `web${started++}`,
      alive: true,
      pausedUntil: 0,
      server: redis,
      noRedisUntil: 0,
      noPostgresUntil: 0,
    } as Replica;

    /** A dead replica hears nothing any more, a paused one later. */
    const hear = (callback: () => void) => {
      if (!replica.alive) return;
      if (time.now() < replica.pausedUntil) {
        time.after(replica.pausedUntil - time.now() + between(0, 1), () => hear(callback));
      } else callback();
    };
    const heard = <T>(answer: Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        answer.then(
          (value) => hear(() => resolve(value)),
          (error) => hear(() => reject(error)),
        );
      });

    function ask<T>(
      name: string,
      carryOut: (server: RedisServer) => T,
      lost?: (answer: T) => void,
    ): Promise<T> {
      const { server } = replica;
      const target = {
        reachable: () => server.alive && time.now() >= replica.noRedisUntil,
        refuses: () => !server.alive,
        pausedUntil: () => server.pausedUntil,
      };
      const where = `${replica.id} ${name} @${server.history}`;
      return heard(call(where, REDIS_TIMEOUT_MS, target, () => carryOut(server), lost));
    }
    function query<T>(name: string, carryOut: () => T, lost?: (answer: T) => void): Promise<T> {
      const target = {
        reachable: () => !postgres.down && time.now() >= replica.noPostgresUntil,
        refuses: () => postgres.down,
        pausedUntil: () => postgres.pausedUntil,
      };
      return heard(call(`${replica.id} ${name}`, POSTGRES_TIMEOUT_MS, target, carryOut, lost));
    }

    let numbered = 0;
    const redisStore: RedisStore = {
      increment: (epoch, n) => {
        numbered = n;
        // Numbers that nobody was told of: a gap if somebody else's later ones are recorded.
        const lost = (last: number | undefined) => {
          if (last !== undefined) surplus += n;
        };
        return ask(`increment(${epoch}, ${n})`, (server) => lua.increment(server, epoch, n), lost);
      },
      install: async (epoch, count) => {
        const install = () =>
          ask(`install(${epoch}, ${count})`, (server) => lua.install(server, epoch, count));
        const first = install();
        if (bug === 'an install is sent twice') {
          // As a client does that sends what was not answered again, on its next connection.
          time.after(between(1, 1000), () => {
            if (replica.alive) install().catch(() => {});
          });
        }
        return first;
      },
    };
    const postgresStore: PostgresStore = {
      read: () => query('read()', sql.read),
      record: async (epoch, count) => {
        const recorded = query(`record(${epoch}, ${count})`, () => sql.record(epoch, count));
        // Void numbers: a larger one may have been recorded before the epoch moved, so that they are a gap.
        recorded.then(
          (inTime) => {
            if (!inTime) surplus += numbered;
          },
          () => {},
        );
        if (bug !== 'acknowledge before the commit') return recorded;
        recorded.catch(() => {});
        return true;
      },
      takeOver: (n, insist) =>
        query(
          `takeOver(${n}, ${insist})`,
          () => sql.takeOver(n, insist),
          (row) => {
            if (row) surplus += n;
          },
        ),
      handBack: (seen) => query(`handBack(${seen})`, () => sql.handBack(seen)),
      reset: async (id, seen, sentAt) => {
        const answer = await query(`reset(${id}, ${seen})`, () => sql.reset(id, seen, sentAt));
        if (bug !== 'a reset only deletes the key' || typeof answer === 'string') return answer;
        await ask('delete', lua.deleteKey).catch(() => {});
        return 'done';
      },
    };

    const CounterUnderTest = options.counter ?? Counter;
    replica.counter = new CounterUnderTest({
      redis: redisStore,
      postgres: postgresStore,
      waitMs: WAIT_MS,
      log: { info: (_fields, message) => tell(`${replica.id} ${message}`), warn: () => {} },
      clock: { now: time.now, after: (ms, callback) => time.after(ms, () => hear(callback)) },
    });
    return replica;
  }
  const replicas = Array.from({ length: REPLICAS }, start);

  // ---- NGINX: asks one replica after the other quickly, then one patiently.
  type Ask<T> = (counter: Counter, gone: () => boolean, waitedMs: number) => Promise<T>;

  /** One attempt at one replica. */
  function attempt<T>(ask: Ask<T>, replica: Replica, limitMs: number, waitedMs: number, arrivesAt: number) {
    let over = false;
    const answer = new Promise<T | 'unavailable' | 'no answer'>((resolve) => {
      // A killed replica's connections break; a paused one's do not.
      const watch = () => {
        if (over) return;
        if (replica.alive) time.after(10, watch);
        else resolve('no answer');
      };
      const travels = Math.max(arrivesAt - time.now(), delay());
      time.after(travels, () => {
        if (!replica.alive) return resolve('no answer');
        const asked = () => {
          if (!replica.alive) return;
          if (time.now() < replica.pausedUntil)
            return void time.after(replica.pausedUntil - time.now() + 0.1, asked);
          ask(replica.counter, () => over, waitedMs).then(
            (value) => time.after(delay(), () => replica.alive && resolve(value)),
            () => time.after(delay(), () => resolve('unavailable')),
          );
        };
        asked();
        watch();
      });
      time.after(limitMs, () => resolve('no answer'));
    });
    return answer.finally(() => {
      over = true;
    });
  }

  async function throughNginx<T>(ask: Ask<T>): Promise<T | undefined> {
    const first = Math.floor(draw() * REPLICAS);
    const started = time.now();
    // A cut holds back what is sent until it is over.
    const arrivesAt = has('late requests') && chance(0.2) ? started + between(1000, 12_000) : started;
    let attempts = 0;
    async function pass(limitMs: number, mayBeginMs: number): Promise<T | undefined> {
      const began = time.now();
      for (let i = 0; i < REPLICAS && time.now() - began <= mayBeginMs; i++) {
        if (attempts++ > 0) surplus++;
        const replica = replicas[(first + i) % REPLICAS] as Replica;
        const answer = await attempt(ask, replica, limitMs, began - started, arrivesAt);
        if (answer !== 'unavailable' && answer !== 'no answer') return answer;
      }
      return undefined;
    }
    return (await pass(TRY_MS, Number.POSITIVE_INFINITY)) ?? (await pass(PATIENT_MS, PATIENT_TRIES_MS));
  }

  // ---- Clients.
  const operations: Operation[] = [];
  async function operate(
    kind: Operation['kind'],
    run: () => Promise<number | true | undefined>,
  ): Promise<void> {
    // Recorded when it is sent, so that one that never ends is part of the history.
    const operation: Operation = {
      kind,
      invoked: time.now(),
      completed: Number.POSITIVE_INFINITY,
      result: undefined,
    };
    operations.push(operation);
    operation.result = await run();
    operation.completed = time.now();
    tell(`${kind} ${operation.invoked.toFixed(1)} = ${operation.result}`);
  }

  async function visitor(): Promise<void> {
    while (time.now() < (quiet ? TROUBLE_MS : TOTAL_MS)) {
      await operate('visit', () => throughNginx((counter, gone, waitedMs) => counter.visit(gone, waitedMs)));
      // Afterwards only as often as it takes to see that all is well again.
      await time.sleep(time.now() < TROUBLE_MS && !quiet ? between(1, 200) : between(300, 1500));
    }
  }

  async function resetter(): Promise<void> {
    for (let n = 0; time.now() < TOTAL_MS; n++) {
      await time.sleep(time.now() < TROUBLE_MS ? between(100, 1500) : between(1000, 3000));
      const id = `reset${n}-${draw()}`;
      const sentAt = time.now();
      await operate('reset', () =>
        throughNginx((counter, _gone, waitedMs) =>
          counter.reset(id, sentAt, waitedMs).then(() => true as const),
        ),
      );
    }
  }

  // ---- Trouble.
  const trouble: Record<Fault, () => void | Promise<void>> = {
    'slow network': () => {},
    'lost replies': () => {},
    'late requests': () => {},
    resets: resetter,
    'redis restarts empty': () => restartRedis(NOTHING),
    'redis restarts with old data': () => restartRedis(old),
    'redis fails over to a replica that lags': () => {
      redis = new RedisServer(`history${servers++}`, old);
      tell(`redis fails over to ${redis.history}, with ${old.count}, ${old.held}`);
      for (const replica of replicas) {
        time.after(between(0, 500), () => {
          replica.server = redis;
        });
      }
    },
    'redis loses its keys': () => {
      tell('redis loses its keys');
      redis.count = undefined;
      if (chance(0.5)) redis.held = undefined;
    },
    'redis pauses': () => {
      tell('redis pauses');
      redis.pausedUntil = time.now() + between(50, 1500);
    },
    'redis unreachable for one replica': () => {
      pick(replicas).noRedisUntil = time.now() + between(50, 1500);
    },
    'postgres restarts': async () => {
      tell('postgres goes down');
      postgres.down = true;
      await time.sleep(between(50, 2000));
      postgres.down = false;
      tell('postgres is up');
    },
    'postgres pauses': () => {
      tell('postgres pauses');
      postgres.pausedUntil = time.now() + between(50, 2000);
    },
    'postgres unreachable for one replica': () => {
      pick(replicas).noPostgresUntil = time.now() + between(50, 2000);
    },
    'replica killed': () => {
      const index = Math.floor(draw() * REPLICAS);
      const killed = replicas[index] as Replica;
      killed.alive = false;
      tell(`${killed.id} is killed`);
      replicas[index] = start();
    },
    'replica pauses': () => {
      const replica = pick(replicas);
      tell(`${replica.id} pauses`);
      replica.pausedUntil = time.now() + between(50, 2000);
    },
  };

  function restartRedis(data: Data): void {
    redis.alive = false;
    const before = redis;
    redis = new RedisServer(`history${servers++}`, data);
    tell(`redis restarts as ${redis.history} with ${data.count}, ${data.held}`);
    for (const replica of replicas) {
      if (replica.server === before)
        time.after(between(1, 300), () => {
          replica.server = redis;
        });
    }
  }

  /** What Redis would have on disk, or on a replica that lags. */
  async function snapshots(): Promise<void> {
    while (time.now() < TROUBLE_MS) {
      await time.sleep(between(10, 600));
      old = { count: redis.count, held: redis.held };
    }
  }

  async function cause(fault: Fault): Promise<void> {
    await time.sleep(between(0, TROUBLE_MS / 2));
    for (let times = 0; times < 3 && time.now() < TROUBLE_MS; times++) {
      await trouble[fault]();
      await time.sleep(between(20, TROUBLE_MS / 2));
    }
  }

  const afterQuiet: History['afterQuiet'] = [];
  async function visitEachAfterQuiet(): Promise<void> {
    await time.sleep(TOTAL_MS + QUIET_MS);
    // The second after a cool-down, so that all is as before.
    for (const { counter } of [...replicas, ...replicas]) {
      if (afterQuiet.length === REPLICAS) await time.sleep(2000);
      await operate('visit', () =>
        counter.visit().then(
          (number) => {
            afterQuiet.push('counted');
            return number;
          },
          () => {
            afterQuiet.push('refused');
            return undefined;
          },
        ),
      );
    }
  }

  for (let i = 0; i < (quiet ? 1 : CLIENTS); i++) visitor();
  visitEachAfterQuiet();
  snapshots();
  for (const fault of faults) cause(fault);
  await time.run();

  // Without faults there is no excuse.
  const verdict = check(operations, { count: row.count, surplus: faults.length > 0 ? surplus : 0 });
  return { seed, faults, operations, verdict, trace, counting: row.counting, count: row.count, afterQuiet };
}
