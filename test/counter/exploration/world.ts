/**
 * A small world for the counter's protocol: replicas that run the real `next` and `apply`, the models of the two stores, and
 * clients. Everything that may happen next is an action (actions.ts); the explorer performs them in every order.
 */

import { initialKnowledge } from '../../../web/src/counter/protocol.ts';
import type { Command, Event, Knowledge, Task } from '../../../web/src/counter/states.ts';
import { emptyTables, type Tables } from '../models/postgres.ts';
import { EMPTY, type Keys, type Server } from '../models/redis.ts';

export interface Size {
  replicas: number;
  /** At each replica. */
  visits: number;
  resets: number;
  /** So many faults may happen in all. */
  faults: number;
  /** Redis holds the epoch at the start. */
  settled?: boolean;
  /** Worlds whose epoch is beyond this one are not gone on with: the first is 1. */
  epochs?: number;
}

/** What a client asks for. */
export interface Operation {
  kind: 'visit' | 'reset';
  home: number;
  state: 'new' | 'pending' | 'done' | 'failed';
  /** The operations that had been answered when this one was sent, as a bit mask. */
  after: number;
  /** The resets that had been sent when this operation ended. */
  before: number;
  number: number;
}

/** A command on its way to a store (no event yet), or its answer on the way back. */
export interface Flight {
  command: Command;
  event: Event | undefined;
  /** Which server of Redis it went to. */
  history: number;
}

/** A task of a replica. It always has a command on its way. */
export interface Running {
  task: Task;
  flight: Flight;
  operations: number[];
  /** Does NGINX wait for its answer? */
  awaited: boolean;
}

export interface Replica {
  knowledge: Knowledge;
  /** The server of Redis that it is connected to. */
  history: number;
  /** Visits that are in no batch yet, and resets that wait for another. */
  queue: number[];
  resets: number[];
  batch: Running | undefined;
  reset: Running | undefined;
}

export interface World {
  tables: Tables;
  servers: Server[];
  /** What Redis has on disk, or on a replica that lags: its keys before the last write. */
  saved: Keys;
  histories: number;
  replicas: Replica[];
  operations: Operation[];
  /** Commands that were given up and may be carried out yet. */
  strays: { command: Command; history: number }[];
  /** So many numbers may never be shown, as the protocol tells, or a replica that died could not. */
  gaps: number;
  /** Resets that the network holds back. */
  held: number[];
  faults: number;
}

export type Slot = 'batch' | 'reset';

export function initialWorld({ replicas, visits, resets, faults, settled = true }: Size): World {
  const operation = (kind: Operation['kind'], home: number): Operation => ({
    kind,
    home,
    state: 'new',
    after: 0,
    before: 0,
    number: 0,
  });
  return {
    tables: emptyTables(),
    servers: [settled ? { history: 1, count: 0, held: { epoch: 1, history: 1 } } : { ...EMPTY, history: 1 }],
    saved: EMPTY,
    histories: 1,
    replicas: Array.from({ length: replicas }, newReplica),
    operations: [
      ...Array.from({ length: replicas * visits }, (_, n) => operation('visit', Math.floor(n / visits))),
      ...Array.from({ length: resets }, (_, n) => operation('reset', n % replicas)),
    ],
    strays: [],
    gaps: 0,
    held: [],
    faults,
  };
}

export function newReplica(): Replica {
  return {
    knowledge: initialKnowledge(true),
    history: 1,
    queue: [],
    resets: [],
    batch: undefined,
    reset: undefined,
  };
}

export const current = ({ servers }: World): Server => servers.at(-1) ?? missing('server of Redis');
export const replicaOf = ({ replicas }: World, replica: number): Replica =>
  replicas[replica] ?? missing('replica');
export const operationOf = ({ operations }: World, operation: number): Operation =>
  operations[operation] ?? missing('operation');
/** A command that goes to whatever server of Redis is there. */
export const ANY = 0;
export const serverOf = (world: World, history: number): Server | undefined =>
  history === ANY ? current(world) : world.servers.find((server) => server.history === history);
/** Carried out late, the others change nothing. */
export const changes = ({ do: command }: Command): boolean =>
  !['read', 'ping', 'pause', 'wait'].includes(command);
export const isForRedis = ({ do: command }: Command) => ['increment', 'install', 'ping'].includes(command);

export function missing(what: string): never {
  throw new Error(`there is no such ${what}`);
}

export const runningOf = (world: World, { replica, slot }: { replica: number; slot: Slot }): Running =>
  replicaOf(world, replica)[slot] ?? missing('task');
