/** Clients that write one after the other until they are told to stop, whatever the application. */
import { setTimeout as sleep } from 'node:timers/promises';
import { subject } from '../subject.ts';

/** Between two writes of one client (ms): the load is to meet every fault, not to saturate the machine. */
const PAUSE_MS = 5;

export class Writers {
  sent = 0;
  acknowledged = 0;
  /** What clients got in place of the right answer. */
  readonly errors: string[] = [];
  readonly #address: string;
  readonly #clients: Promise<void>[];
  #stopped = false;

  constructor(address: string, clients: number) {
    this.#address = address;
    this.#clients = Array.from({ length: clients }, () => this.#client());
  }

  /** Resolves when every write that is under way has its answer. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  async #client(): Promise<void> {
    while (!this.#stopped) {
      this.sent++;
      try {
        await subject.write(this.#address);
        this.acknowledged++;
      } catch (error) {
        this.errors.push(error instanceof Error ? error.message : String(error));
      }
      await sleep(PAUSE_MS);
    }
  }
}
