import type { Client } from 'pg';

interface SessionsOptions {
  /** Opens a session. */
  open: () => Promise<Client>;
  /** After which a session is replaced (ms). */
  lifetimeMs: number;
  /** So many may be used at a time. */
  most: number;
  /** How long a use waits for another to end (ms). */
  waitMs: number;
  /** Does this error say that the server answers, and takes no sessions now? */
  saysNo: (error: unknown) => boolean;
}

/**
 * Sessions with Postgres: one at the start, and others when they are needed. They are kept for the next use, and replaced
 * from time to time. So a replica that no visit reaches has one too, should it be impossible to open another later.
 */
export class PostgresSessions {
  readonly #options: SessionsOptions;
  /** All that stand and are to be used again, and those of them that are not in use. */
  readonly #all = new Set<Client>();
  #idle: Client[] = [];
  /** How many uses there are, and those that wait for the end of another. */
  #uses = 0;
  #waiting: (() => void)[] = [];
  readonly #first: Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #replacing = false;
  #closed = false;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#first = this.#replace();
    this.#timer = setInterval(() => this.#replace(), options.lifetimeMs).unref();
  }

  /**
   * Lends a session. One that fails is not used again: after a time-out its late reply would meet the next query.
   * @throws Error when as many as may be used are in use for the whole wait
   */
  async use<T>(work: (session: Client) => Promise<T>): Promise<T> {
    await this.#first;
    await this.#turn();
    try {
      return await this.#lend(work);
    } finally {
      // The next in line takes over this one's turn.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#uses--;
    }
  }

  async #turn(): Promise<void> {
    const { most, waitMs } = this.#options;
    if (this.#uses < most) {
      this.#uses++;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    const timer = setTimeout(() => {
      this.#waiting = this.#waiting.filter((waiting) => waiting !== resolve);
      reject(new Error(`all ${most} sessions were in use for ${waitMs} ms`));
    }, waitMs);
    await promise.finally(() => clearTimeout(timer));
  }

  async #lend<T>(work: (session: Client) => Promise<T>): Promise<T> {
    const session = this.#idle.pop() ?? (await this.#add());
    try {
      const result = await work(session);
      if (this.#all.has(session)) this.#idle.push(session);
      else end(session);
      return result;
    } catch (error) {
      this.#all.delete(session);
      end(session);
      throw error;
    }
  }

  /** Ends those that are not in use, and the others after their use. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const session of this.#all) this.#retire(session);
  }

  async #add(): Promise<Client> {
    const session = await this.#options.open();
    if (this.#closed) {
      end(session);
      throw new Error('the sessions are closed');
    }
    this.#all.add(session);
    // One that breaks while it carries a query fails the query. One that carries none only says so.
    session.on('error', () => this.#retire(session));
    return session;
  }

  #retire(session: Client): void {
    this.#all.delete(session);
    if (!this.#idle.includes(session)) return;
    this.#idle = this.#idle.filter((idle) => idle !== session);
    end(session);
  }

  /**
   * First the new session, then the end of the old one: while the server cannot be reached anew, because its name is not
   * resolved or it has too many sessions, those that work go on. One after the other, so that there is one more at most.
   */
  async #replace(): Promise<void> {
    if (this.#replacing) return;
    this.#replacing = true;
    for (const old of this.#all.size > 0 ? [...this.#all] : [undefined]) {
      // It may have broken meanwhile.
      if (old && !this.#all.has(old)) continue;
      try {
        this.#idle.push(await this.#add());
      } catch (error) {
        if (!this.#options.saysNo(error)) break;
      }
      if (old) this.#retire(old);
    }
    this.#replacing = false;
  }
}

function end(session: Client): void {
  session.end().catch(() => {});
}
