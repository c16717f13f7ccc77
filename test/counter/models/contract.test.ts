import { postgresContract, redisContract } from '../contract.ts';
import { emptyTables } from './postgres.ts';
import { EMPTY, type Server } from './redis.ts';
import { postgresModel, redisModel } from './stores.ts';

redisContract('the model', async () => {
  let server: Server = { ...EMPTY, history: 1 };
  return {
    store: redisModel(() => server),
    async empty() {
      server = { ...EMPTY, history: 1 };
    },
    async evictTheCount() {
      server.count = undefined;
    },
    async changeServers() {
      server.history++;
    },
    [Symbol.asyncDispose]: async () => {},
  };
});

postgresContract('the model', async () => {
  let tables = emptyTables();
  return {
    store: postgresModel(() => tables),
    async empty() {
      tables = emptyTables();
    },
    [Symbol.asyncDispose]: async () => {},
  };
});
