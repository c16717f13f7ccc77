import type { Client } from 'pg';

/**
 * Sessions with Postgres: one at the start, and others when they are needed. They are kept for the next use, and replaced
 * from time to time. So a replica that no visit reaches has one too, should it be impossible to open another later.
 */
export class PostgresSessions {
  readonly #open: () => Promise<Client>;
  /** All that stand and are to be used again, and those of them that are not in use. */
  readonly #all = new Set<Client>();
  #idle: Client[] = [];
  readonly #first: Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #replacing = false;
  #closed = false;

  /**
   * @param open opens a session
   * @param lifetimeMs after which a session is replaced
   * @param saysNo does this error say that the server answers, and takes no sessions now?
   */
  constructor(open: () => Promise<Client>, lifetimeMs: number, saysNo: (error: unknown) => boolean) {
    this.#open = open;
    this.#first = this.#replace(saysNo);
    this.#timer = setInterval(() => this.#replace(saysNo), lifetimeMs).unref();
  }

  /** Lends a session. One that fails is not used again: after a time-out its late reply would meet the next query. */
  async use<T>(work: (session: Client) => Promise<T>): Promise<T> {
    await this.#first;
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
    const session = await this.#open();
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
  async #replace(saysNo: (error: unknown) => boolean): Promise<void> {
    if (this.#replacing) return;
    this.#replacing = true;
    for (const old of this.#all.size > 0 ? [...this.#all] : [undefined]) {
      // It may have broken meanwhile.
      if (old && !this.#all.has(old)) continue;
      try {
        this.#idle.push(await this.#add());
      } catch (error) {
        if (!saysNo(error)) break;
      }
      if (old) this.#retire(old);
    }
    this.#replacing = false;
  }
}

function end(session: Client): void {
  session.end().catch(() => {});
}
