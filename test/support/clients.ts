/** Clients that do the same again and again until they are told to stop. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Between two turns of one client (ms): the load is to meet every fault, not to saturate the machine. */
const PAUSE_MS = 5;

export class Clients {
  readonly #clients: Promise<void>[];
  #stopped = false;

  /** @param turn what a client does; it must not fail */
  constructor(clients: number, turn: () => Promise<void>) {
    this.#clients = Array.from({ length: clients }, async () => {
      while (!this.#stopped) {
        await turn();
        await sleep(PAUSE_MS);
      }
    });
  }

  /** Resolves when every turn that is under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }
}
