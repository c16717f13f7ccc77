/**
 * One history of the real counter: three replicas of it, on models of Redis and Postgres, in virtual time, under a schedule that a seed
 * decides. The same seed gives the same history, event by event.
 *
 * The method is FoundationDB's deterministic simulation (https://apple.github.io/foundationdb/testing.html).
 */
import type { Sequencer } from '../../../web/src/counter/store.ts';
import { Random } from '../../support/random.ts';
import { check, type Operation, type Verdict } from '../checker.ts';
import { emptyTables } from '../models/postgres.ts';
import { SUBJECT, type Subject } from '../models/subject.ts';
import { FAULTS, type Fault, Nemesis } from './nemesis.ts';
import { Network } from './network.ts';
import { type Ask, Nginx, readLimits } from './nginx.ts';
import { VirtualTime } from './virtual-time.ts';

export interface Simulation {
  seed: number;
  /** Undefined: the seed chooses up to four, or in a storm more of them. */
  faults?: readonly Fault[];
  subject?: Subject;
}

export interface History {
  seed: number;
  faults: readonly Fault[];
  operations: Operation[];
  verdict: Verdict;
  /** What happened, to look into a failure. */
  trace: string[];
  /** The sequencer when all faults are over, and the count. */
  sequencer: Sequencer;
  count: number;
  /** What two visits got from each replica, asked directly, after a time in which nobody visited. */
  afterQuiet: ('counted' | 'refused')[];
}

const REPLICAS = 3;
const CLIENTS = 8;
/** Faults happen in the first milliseconds; then everything heals, and the clients go on for a while. */
const CALM = { troubleMs: 3000, healedMs: 9000, most: 4, times: 3, pauseMs: 1500 };
/** Overlapping faults without a pause. */
const STORM = { troubleMs: 20_000, healedMs: 9000, most: 8, times: 1000, pauseMs: 800 };
/** Then nobody visits for longer than a visit waits: a replica has to find out by itself that Postgres is back. */
const QUIET_MS = 7000;

const limits = await readLimits();

export async function simulate({ seed, subject = SUBJECT, ...options }: Simulation): Promise<History> {
  const random = new Random(seed);
  const time = new VirtualTime();
  const trace: string[] = [];
  const tell = (what: string) => trace.push(`${time.now().toFixed(1)} ${what}`);

  const weather = random.chance(0.05) ? STORM : CALM;
  const { troubleMs, most } = weather;
  const totalMs = troubleMs + weather.healedMs;
  const faults =
    options.faults ?? FAULTS.filter(() => random.chance((most * 0.75) / FAULTS.length)).slice(0, most);
  const isTrouble = () => time.now() < troubleMs;
  const has = (fault: Fault) => faults.includes(fault) && isTrouble();
  /** A site with one visitor, who stays away once there is trouble: no visit makes a replica look for Postgres. */
  const quiet = random.chance(0.3);

  let surplus = 0;
  const lose = (numbers: number) => {
    surplus += numbers;
  };
  const postgres = { tables: emptyTables(), isDown: false, pausedUntil: 0 };
  const network = new Network({
    time,
    random,
    tell,
    isSlow: () => has('slow network'),
    losesReplies: () => has('lost replies'),
  });
  const nemesis = new Nemesis({ time, random, network, postgres, subject, tell, lose }, REPLICAS);
  const nginx = new Nginx(limits, time, random, () => network.delay());

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

  async function send<T>(ask: Ask<T>): Promise<T | undefined> {
    // A cut holds back what is sent until it is over.
    const heldMs = has('late requests') && random.chance(0.2) ? random.between(1000, 12_000) : 0;
    return nginx.send(ask, nemesis.replicas, time.now() + heldMs);
  }

  async function visitor(): Promise<void> {
    while (time.now() < (quiet ? troubleMs : totalMs)) {
      await operate('visit', () => send((counter, gone, waitedMs) => counter.visit({ gone, waitedMs })));
      // Afterwards only as often as it takes to see that all is well again.
      await time.sleep(isTrouble() && !quiet ? random.between(1, 200) : random.between(300, 1500));
    }
  }

  async function resetter(): Promise<void> {
    for (let n = 0; time.now() < totalMs; n++) {
      await time.sleep(isTrouble() ? random.between(100, 1500) : random.between(1000, 3000));
      const id = `reset${n}-${random.draw()}`;
      const sentAt = time.now();
      await operate('reset', () =>
        send((counter, _gone, waitedMs) => counter.reset(id, sentAt, { waitedMs }).then(() => true as const)),
      );
    }
  }

  const afterQuiet: History['afterQuiet'] = [];
  async function visitEachAfterQuiet(): Promise<void> {
    await time.sleep(totalMs + QUIET_MS);
    // The second after a cool-down, so that all is as before.
    for (const { counter } of [...nemesis.replicas, ...nemesis.replicas]) {
      if (afterQuiet.length === REPLICAS) await time.sleep(2000);
      await operate('visit', async () => {
        const number = await counter.visit().catch(() => undefined);
        afterQuiet.push(number === undefined ? 'refused' : 'counted');
        return number;
      });
    }
  }

  for (let i = 0; i < (quiet ? 1 : CLIENTS); i++) visitor();
  if (faults.includes('resets')) resetter();
  visitEachAfterQuiet();
  nemesis.snapshots(troubleMs);
  for (const fault of faults) nemesis.cause(fault, weather.times, weather.pauseMs, troubleMs);
  await time.run();

  const { count, sequencer } = postgres.tables.visitors;
  // Without faults there is no excuse.
  const excused = faults.length > 0 ? surplus + nginx.repeats : 0;
  const verdict = check(operations, { count, surplus: excused });
  return { seed, faults, operations, verdict, trace, sequencer, count, afterQuiet };
}
