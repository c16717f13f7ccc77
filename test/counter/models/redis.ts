/** Redis as the counter uses it: what each script of redis-store.ts does to a server's two keys, as plain data. */

/** What a server holds, on disk too. */
export interface Keys {
  count: number | undefined;
  /** The epoch, and the replication id of the server that it was installed in. */
  held: { epoch: number; history: number } | undefined;
}

export interface Server extends Keys {
  /** The replication id: another one for each start and each promotion. */
  history: number;
}

export const EMPTY: Keys = { count: undefined, held: undefined };

/** The scripts. Each carries out at once, changes the keys in place, and returns what the store answers. */
export const SCRIPTS = {
  increment(server: Server, epoch: number, n: number): number | undefined {
    const { held, history, count } = server;
    if (held?.epoch !== epoch || held.history !== history || count === undefined) return undefined;
    server.count = count + n;
    return server.count;
  },

  install(server: Server, epoch: number, count: number): void {
    const { held, history } = server;
    if (held?.history === history && held.epoch >= epoch) return;
    server.held = { epoch, history };
    server.count = count;
  },

  ping: (_server: Server): void => {},
};
export type Scripts = typeof SCRIPTS;
