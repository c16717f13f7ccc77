/** Clients that visit one after the other until they are told to stop, and a record of everything they saw. */
import http from 'node:http';
import https from 'node:https';
import { Clients } from '../../support/clients.ts';
import type { Operation } from '../checker.ts';

/** After this a client gives up (ms): longer than anything that the stack promises to answer within, on one machine. */
const TIMEOUT_MS = 15_000;

export class Load {
  readonly operations: Operation[] = [];
  /** What clients got in place of a number. */
  readonly errors: string[] = [];
  readonly #protocol: typeof http | typeof https;
  readonly #agent: http.Agent;
  readonly #address: string;
  readonly #timeoutMs: number;
  readonly #clients: Clients;

  constructor(address: string, clients: number, timeoutMs = TIMEOUT_MS) {
    this.#address = address;
    this.#protocol = address.startsWith('https:') ? https : http;
    this.#agent = new this.#protocol.Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
    this.#timeoutMs = timeoutMs;
    this.#clients = new Clients(clients, () =>
      this.#operate('visit', '/', (body) => {
        const number = /viewed (\d+) time/.exec(body)?.[1];
        return number === undefined ? undefined : Number(number);
      }),
    );
  }

  get sent(): number {
    return this.operations.length;
  }

  /** Resets once, as a client does. */
  async reset(): Promise<void> {
    await this.#operate('reset', '/resetcounter', (body) => body.startsWith('Successfully') || undefined);
  }

  /** Resolves when every visit that is under way has its answer. */
  async stop(): Promise<void> {
    await this.#clients.stop();
    this.#agent.destroy();
  }

  async #operate(
    kind: Operation['kind'],
    path: string,
    read: (body: string) => Operation['result'],
  ): Promise<void> {
    const operation: Operation = {
      kind,
      invoked: performance.now(),
      completed: Number.POSITIVE_INFINITY,
      result: undefined,
    };
    this.operations.push(operation);
    try {
      const { status, body } = await this.#get(path);
      operation.result = status === 200 ? read(body) : undefined;
      if (operation.result === undefined) this.errors.push(`${status} ${body.trim().slice(0, 60)}`);
    } catch (error) {
      this.errors.push(error instanceof Error ? error.message : String(error));
    }
    operation.completed = performance.now();
  }

  #get(path: string): Promise<{ status: number | undefined; body: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{
      status: number | undefined;
      body: string;
    }>();
    const sent = this.#protocol.request(
      `${this.#address}${path}`,
      { agent: this.#agent, timeout: this.#timeoutMs },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('error', reject);
        response.on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode, body }));
      },
    );
    sent.on('timeout', () => sent.destroy(new Error('no answer')));
    sent.on('error', reject).end();
    return promise;
  }
}
