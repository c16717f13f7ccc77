import { Counter } from '../../../web/src/counter/counter.ts';
import type { PostgresStore, RedisStore } from '../../../web/src/counter/store.ts';
import type { Random } from '../../support/random.ts';
import type { Tables } from '../models/postgres.ts';
import type { Server } from '../models/redis.ts';
import type { Subject } from '../models/subject.ts';
import type { Network } from './network.ts';
import type { VirtualTime } from './virtual-time.ts';

const REDIS_TIMEOUT_MS = 150;
const POSTGRES_TIMEOUT_MS = 750;
export const WAIT_MS = 5000;

/** A process of Redis. */
export type RedisProcess = Server & { isAlive: boolean; pausedUntil: number };

/** A process of Postgres, which forgets nothing. */
export interface PostgresProcess {
  tables: Tables;
  isDown: boolean;
  pausedUntil: number;
}

export interface Surroundings {
  time: VirtualTime;
  random: Random;
  network: Network;
  postgres: PostgresProcess;
  subject: Subject;
  tell: (what: string) => void;
  /** So many numbers were given out and nobody was told. */
  lose: (numbers: number) => void;
}

/** A replica of web: the real counter, and its connections. A dead one hears nothing any more, a paused one later. */
export class Replica {
  readonly id: string;
  readonly counter: Counter;
  isAlive = true;
  pausedUntil = 0;
  /** The server of Redis that it is connected to. */
  server: RedisProcess;
  noRedisUntil = 0;
  noPostgresUntil = 0;
  readonly #around: Surroundings;

  constructor(id: string, server: RedisProcess, around: Surroundings) {
    this.id = id;
    this.server = server;
    this.#around = around;
    const { time, tell } = around;
    this.counter = new Counter({
      redis: this.#redis(),
      postgres: this.#postgres(),
      waitMs: WAIT_MS,
      log: {
        info: (fields, message) => {
          if ('gap' in fields) around.lose(Number(fields.gap));
          tell(`${id} ${message} ${JSON.stringify(fields)}`);
        },
        warn: () => {},
      },
      clock: { now: time.now, after: (ms, callback) => time.after(ms, () => this.#hear(callback)) },
    });
  }

  #redis(): RedisStore {
    const { subject, time, random } = this.#around;
    const { increment, install, ping } = subject.scripts;
    return {
      increment: (...args) => this.#ask(`increment(${args})`, (server) => increment(server, ...args)),
      install: async (...args) => {
        const send = () => this.#ask(`install(${args})`, (server) => install(server, ...args));
        if (subject.resendsInstalls) {
          // As a client does that sends on its next connection what was not answered.
          time.after(random.between(1, 1000), () => {
            if (this.isAlive) send().catch(() => {});
          });
        }
        await send();
      },
      ping: () => this.#ask('ping()', ping),
    };
  }

  #postgres(): PostgresStore {
    const { read, commit, incrementInFallback, failOver, failBack, reset, ping } =
      this.#around.subject.statements;
    return {
      read: () => this.#query('read()', read),
      commit: (...args) => this.#query(`commit(${args})`, (tables) => commit(tables, ...args)),
      incrementInFallback: (...args) =>
        this.#query(`incrementInFallback(${args})`, (tables) => incrementInFallback(tables, ...args)),
      failOver: (...args) => this.#query(`fail over(${args})`, (tables) => failOver(tables, ...args)),
      failBack: (...args) => this.#query(`fail back(${args})`, (tables) => failBack(tables, ...args)),
      reset: (epoch, request) =>
        this.#query(`reset(${epoch}, ${request.id})`, (tables) => reset(tables, epoch, request)),
      ping: () => this.#query('ping()', ping),
    };
  }

  #ask<T>(name: string, carryOut: (server: Server) => T): Promise<T> {
    const { network, time } = this.#around;
    const { server } = this;
    const target = {
      isReachable: () => server.isAlive && time.now() >= this.noRedisUntil,
      refuses: () => !server.isAlive,
      pausedUntil: () => server.pausedUntil,
    };
    const where = `${this.id} ${name} @${server.history}`;
    return this.#heard(network.call(where, REDIS_TIMEOUT_MS, target, () => carryOut(server)));
  }

  #query<T>(name: string, carryOut: (tables: Tables) => T): Promise<T> {
    const { network, postgres, time } = this.#around;
    const target = {
      isReachable: () => !postgres.isDown && time.now() >= this.noPostgresUntil,
      refuses: () => postgres.isDown,
      pausedUntil: () => postgres.pausedUntil,
    };
    const call = network.call(`${this.id} ${name}`, POSTGRES_TIMEOUT_MS, target, () =>
      carryOut(postgres.tables),
    );
    return this.#heard(call);
  }

  #heard<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      answer.then(
        (value) => this.#hear(() => resolve(value)),
        (error) => this.#hear(() => reject(error)),
      );
    });
  }

  #hear(callback: () => void): void {
    const { time, random } = this.#around;
    if (!this.isAlive) return;
    const pausedMs = this.pausedUntil - time.now();
    if (pausedMs > 0) time.after(pausedMs + random.between(0, 1), () => this.#hear(callback));
    else callback();
  }
}
