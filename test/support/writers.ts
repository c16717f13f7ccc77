/** Clients that write one after the other until they are told to stop, whatever the application. */
import { subject } from '../subject.ts';
import { Clients } from './clients.ts';

export class Writers {
  sent = 0;
  acknowledged = 0;
  /** What clients got in place of the right answer. */
  readonly errors: string[] = [];
  readonly #address: string;
  readonly #clients: Clients;

  constructor(address: string, clients: number) {
    this.#address = address;
    this.#clients = new Clients(clients, () => this.#write());
  }

  /** Resolves when every write that is under way has its answer. */
  async stop(): Promise<void> {
    await this.#clients.stop();
  }

  async #write(): Promise<void> {
    this.sent++;
    try {
      await subject.write(this.#address);
      this.acknowledged++;
    } catch (error) {
      this.errors.push(error instanceof Error ? error.message : String(error));
    }
  }
}
