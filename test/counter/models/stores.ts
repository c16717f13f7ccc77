/** The models behind the interfaces of the real stores: each call is carried out at once. */
import type { PostgresStore, RedisStore } from '../../../web/src/counter/store.ts';
import { STATEMENTS, type Tables } from './postgres.ts';
import { SCRIPTS, type Server } from './redis.ts';

export function postgresModel(tables: () => Tables): PostgresStore {
  return {
    read: async () => STATEMENTS.read(tables()),
    commit: async (...args) => STATEMENTS.commit(tables(), ...args),
    incrementInFallback: async (...args) => STATEMENTS.incrementInFallback(tables(), ...args),
    failOver: async (...args) => STATEMENTS.failOver(tables(), ...args),
    failBack: async (...args) => STATEMENTS.failBack(tables(), ...args),
    reset: async (...args) => STATEMENTS.reset(tables(), ...args),
    ping: async () => STATEMENTS.ping(tables()),
  };
}

export function redisModel(server: () => Server): RedisStore {
  return {
    increment: async (...args) => SCRIPTS.increment(server(), ...args),
    install: async (...args) => SCRIPTS.install(server(), ...args),
    ping: async () => SCRIPTS.ping(server()),
  };
}
