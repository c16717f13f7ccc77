import { createHash } from 'node:crypto';
import { Client, type ClientConfig, DatabaseError, type QueryResult } from 'pg';
import type { Log } from './log.ts';
import { PostgresSessions } from './postgres-sessions.ts';
import { type PostgresTarget, parsePostgresUrl } from './postgres-url.ts';
import { reason } from './reason.ts';
import { StoreError } from './unavailable.ts';

/**
 * Under a name a statement is prepared once in each session: parsing and planning take as long as a small update itself.
 * The name tells the text: behind a pooler a session may have been another client's, of another version of this application.
 */
export interface Statement {
  name: string;
  text: string;
}

export function prepared(text: string): Statement {
  return { name: `web ${createHash('sha256').update(text).digest('base64url')}`, text };
}

/** How long a session lives. On SIGTERM Postgres waits until its sessions end: shorter than its 30 s in docker-compose.yml. */
const LIFETIME_MS = 20_000;

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const CANNOT_CONNECT_NOW = '57P03';
/** A statement that is prepared is not known, or one of its name is already: others use the same session. */
const SHARED_SESSION: unknown[] = ['26000', '42P05'];
/** Errors in the data or in the statement, by their first two characters: the same again would fail again. */
const OF_THE_APPLICATION = /^(0A|20|21|22|23|42|P0)/;

/** Postgres, by sessions that it owns until close(). */
export class Postgres {
  readonly #target: PostgresTarget;
  readonly #timeoutMs: number;
  readonly #log: Pick<Log, 'warn'>;
  readonly #sessions: PostgresSessions;
  /** What the server must be able to do, until it says that it cannot. */
  #limitsStatements = true;
  #preparesStatements = true;

  /**
   * @param url postgres://user:password@host:port/database, with sslmode, sslrootcert, several hosts and target_session_attrs as
   * libpq has them
   * @param timeoutMs after which connecting, or a statement, is given up
   * @param most so many statements at a time, others wait for at most timeoutMs. A session more is there while one is
   * renewed. postgres/roles.sql has room for 80 sessions in all: nine replicas, twice during a deploy
   */
  constructor(url: string, timeoutMs: number, log: Pick<Log, 'warn'> = { warn: () => {} }, most = 3) {
    this.#target = parsePostgresUrl(url);
    this.#timeoutMs = timeoutMs;
    this.#log = log;
    this.#sessions = new PostgresSessions({
      open: () => this.#connect(),
      lifetimeMs: LIFETIME_MS,
      most,
      waitMs: timeoutMs,
      // A server that shuts down says this to new sessions, and waits for the end of the old ones.
      saysNo: (error) => codes(error).includes(CANNOT_CONNECT_NOW),
    });
  }

  /**
   * What Postgres answers to one statement.
   * @throws StoreError when it cannot be reached, or not in time, or cannot do it now. The statement may have been done.
   * @throws DatabaseError of pg for an error in the data or in the statement, whose `code` tells, for example 23505
   */
  async query({ name, text }: Statement, values: unknown[] = []): Promise<QueryResult> {
    const prepares = this.#preparesStatements;
    let answer: QueryResult | Error;
    let sent = false;
    try {
      answer = await this.#sessions.use((session) => {
        sent = true;
        const query = session.query({ ...(prepares ? { name } : {}), text, values });
        return query.catch(faultOfTheApplication);
      });
    } catch (error) {
      // Refused before it did anything: it may be sent again.
      if (prepares && codes(error).some((code) => SHARED_SESSION.includes(code))) {
        if (this.#preparesStatements) {
          this.#log.warn({ cause: reason(error) }, 'a pooler shares sessions: statements are not prepared');
        }
        this.#preparesStatements = false;
        return this.query({ name, text }, values);
      }
      throw new StoreError(`Postgres: ${reason(error)}`, { cause: error, sent });
    }
    if (answer instanceof Error) throw answer;
    return answer;
  }

  close(): void {
    this.#sessions.close();
  }

  /** A session with the first host that will do. All are asked at once: one that is gone does not refuse, it keeps silent. */
  async #connect(): Promise<Client> {
    const until = performance.now() + this.#timeoutMs;
    const sessions = this.#target.clients.map((client) => this.#open(client, until));
    try {
      const first = await Promise.any(sessions);
      for (const other of sessions) {
        other.then((session) => (session === first ? undefined : session.end())).catch(() => {});
      }
      return first;
    } catch (failure) {
      if (!this.#limitsStatements || !reason(failure).includes('startup parameter: statement_timeout')) {
        throw failure;
      }
      this.#limitsStatements = false;
      this.#log.warn(
        { cause: reason(failure) },
        'a pooler takes no statement_timeout: set it for the role, ALTER ROLE ... SET statement_timeout',
      );
      return this.#connect();
    }
  }

  /** A session with one host: with TLS or without, in the order in which the URL wants them tried. */
  async #open(client: ClientConfig, until: number): Promise<Client> {
    const failures: unknown[] = [];
    for (const ssl of this.#target.tls) {
      const left = Math.ceil(until - performance.now());
      if (left <= 0) break;
      const session = new Client({ ...this.#config(left), ...client, ssl });
      // Without a listener the process would end when a session breaks that carries no query.
      session.on('error', () => {});
      try {
        await session.connect();
        if (!this.#target.takesWrites || (await takesWrites(session))) return session;
        throw new Error(`${client.host} takes no writes: it is a standby`);
      } catch (error) {
        session.end().catch(() => {});
        failures.push(error);
      }
    }
    throw new AggregateError(failures);
  }

  #config(connectionTimeoutMillis: number): ClientConfig {
    // query_timeout is the client's alone: end the statement on the server first, so that few of those that
    // are given up here commit all the same.
    const statement_timeout = Math.ceil(this.#timeoutMs * 0.8);
    return {
      application_name: 'web',
      connectionTimeoutMillis,
      query_timeout: this.#timeoutMs,
      ...(this.#limitsStatements ? { statement_timeout } : {}),
      keepAlive: true,
    };
  }
}

async function takesWrites(session: Client): Promise<boolean> {
  const { rows } = await session.query('SHOW transaction_read_only');
  return rows[0]?.transaction_read_only === 'off';
}

/** Returns an error in the data or in the statement, after which the session is as good as before; throws any other. */
function faultOfTheApplication(error: unknown): Error {
  const code = error instanceof DatabaseError ? (error.code ?? '') : '';
  if (error instanceof Error && OF_THE_APPLICATION.test(code) && !SHARED_SESSION.includes(code)) return error;
  throw error;
}

/** The codes of an error, or of all that it bundles. */
function codes(error: unknown): unknown[] {
  if (error instanceof AggregateError) return error.errors.flatMap(codes);
  return [error instanceof Error && 'code' in error ? error.code : undefined];
}
