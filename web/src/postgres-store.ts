import { createHash } from 'node:crypto';
import { Client, type ClientConfig } from 'pg';
import { type Log, type PostgresStore, type Row, StoreError } from './counter.ts';
import { PostgresSessions } from './postgres-sessions.ts';
import { type PostgresTarget, parsePostgresUrl } from './postgres-url.ts';
import { reason } from './reason.ts';

const ROW = 'visitor_count, epoch, counting';

/**
 * Later than every epoch before, also of another life of this table: Redis may outlive a volume or a backup that is
 * restored, and must not take its own old epoch for the new one. So epochs are times, in milliseconds.
 */
const NEXT_EPOCH = 'GREATEST(epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)';

/**
 * Under a name a statement is prepared once in each session: parsing and planning take as long as the update itself. The
 * name tells the text: behind a pooler a session may have been another client's, of another version of this application.
 */
interface Statement {
  name: string;
  text: string;
}

function prepared(text: string): Statement {
  return { name: `web ${createHash('sha256').update(text).digest('base64url')}`, text };
}

const READ = prepared(`SELECT ${ROW} FROM visitors WHERE site_id = 1`);

// GREATEST: replies, and so commits, arrive in any order and some of them twice.
// The epoch is the fence: numbers of an epoch that is over must not be committed.
const RECORD = prepared(`
  UPDATE visitors SET visitor_count = GREATEST(visitor_count, $2) WHERE site_id = 1 AND epoch = $1`);

// The epoch moves only when Redis had it: while Postgres counts, replicas need not start over at every batch. 2^53 is the
// first number that a double does not tell from the next: the count stops there, and the counter refuses it.
const TAKE_OVER = prepared(`
  UPDATE visitors
     SET visitor_count = LEAST(visitor_count + $1, 9007199254740992), counting = 'postgres',
         epoch = CASE counting WHEN 'redis' THEN ${NEXT_EPOCH} ELSE epoch END
   WHERE site_id = 1 AND (counting = 'postgres' OR $2) RETURNING ${ROW}`);

const HAND_BACK = prepared(`
  UPDATE visitors SET epoch = ${NEXT_EPOCH}, counting = 'redis' WHERE site_id = 1 AND epoch = $1 RETURNING ${ROW}`);

// A reset that NGINX or the counter repeats, because its answer was lost, finds its id and changes nothing. NGINX stops
// repeating within seconds, but the clock may jump meanwhile: the last 1,000 resets stay, whatever it says. One that the network held back finds a reset that was sent later. A time that is still to come
// is ignored: the clock was set back. The row is locked before the id is noted: an id must not be noted for nothing. Two that
// begin in the same microsecond conflict as well: the second notes nothing, and is asked for again.
const LATER = (sentAt: string) =>
  `sent_at > to_timestamp(${sentAt} / 1000.0) AND sent_at <= clock_timestamp()`;
const WAS_RESET = prepared(`SELECT id FROM resets WHERE id = $1 OR ${LATER('$2')} LIMIT 1`);
const RESET = prepared(`
  WITH forgotten AS (DELETE FROM resets WHERE at < now() - interval '10 minutes'
                       AND at < (SELECT at FROM resets ORDER BY at DESC OFFSET 999 LIMIT 1)),
       current AS (SELECT site_id FROM visitors WHERE site_id = 1 AND epoch = $2 FOR UPDATE),
       noted AS (INSERT INTO resets (id, sent_at) SELECT $1, to_timestamp($3 / 1000.0) FROM current
                  WHERE NOT EXISTS (SELECT FROM resets WHERE ${LATER('$3')})
                  ON CONFLICT DO NOTHING RETURNING id)
  UPDATE visitors SET visitor_count = 0, epoch = ${NEXT_EPOCH}, counting = 'redis'
   WHERE site_id = 1 AND EXISTS (SELECT FROM noted) RETURNING ${ROW}`);

/** How long a session lives. On SIGTERM Postgres waits until its sessions end: shorter than its 30 s in docker-compose.yml. */
const LIFETIME_MS = 20_000;

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const CANNOT_CONNECT_NOW = '57P03';
/** A statement that is prepared is not known, or one of its name is already: others use the same session. */
const SHARED_SESSION: unknown[] = ['26000', '42P05'];

/** Owns sessions with Postgres until close(). */
export class PostgresCounter implements PostgresStore {
  readonly #target: PostgresTarget;
  readonly #timeoutMs: number;
  readonly #log: Pick<Log, 'warn'>;
  readonly #sessions: PostgresSessions;
  /** What the server must be able to do, until it says that it cannot. */
  #limitsStatements = true;
  #preparesStatements = true;

  /**
   * @param url postgres://user:password@host:port/database, with sslmode and sslrootcert as libpq has them
   * @param timeoutMs after which connecting, or a statement, is given up
   */
  constructor(url: string, timeoutMs: number, log: Pick<Log, 'warn'> = { warn: () => {} }) {
    this.#target = parsePostgresUrl(url);
    this.#timeoutMs = timeoutMs;
    this.#log = log;
    this.#sessions = new PostgresSessions(
      () => this.#connect(),
      LIFETIME_MS,
      // A server that shuts down says this to new sessions, and waits for the end of the old ones.
      (error) => codes(error).includes(CANNOT_CONNECT_NOW),
    );
  }

  async read(): Promise<Row> {
    return required(await this.#query(READ, []));
  }

  async record(epoch: number, count: number): Promise<boolean> {
    const { changed } = await this.#query(RECORD, [epoch, count]);
    return changed === 1;
  }

  async takeOver(n: number, insist: boolean): Promise<Row | undefined> {
    const { row } = await this.#query(TAKE_OVER, [n, insist]);
    return row;
  }

  async handBack(seen: number): Promise<Row | undefined> {
    const { row } = await this.#query(HAND_BACK, [seen]);
    return row;
  }

  async reset(id: string, seen: number, sentAt: number): Promise<Row | 'moved' | 'done'> {
    const { row } = await this.#query(RESET, [id, seen, sentAt]);
    if (row) return row;
    const { changed } = await this.#query(WAS_RESET, [id, sentAt]);
    return changed ? 'done' : 'moved';
  }

  async close(): Promise<void> {
    this.#sessions.close();
  }

  async #query(
    { name, text }: Statement,
    values: unknown[],
  ): Promise<{ row: Row | undefined; changed: number | null }> {
    const prepares = this.#preparesStatements;
    try {
      const { rows, rowCount } = await this.#sessions.use((session) =>
        session.query({ ...(prepares ? { name } : {}), text, values }),
      );
      return { row: rows[0]?.epoch ? toRow(rows[0]) : undefined, changed: rowCount };
    } catch (error) {
      // Refused before it did anything: it may be sent again.
      if (prepares && codes(error).some((code) => SHARED_SESSION.includes(code))) {
        if (this.#preparesStatements) {
          this.#log.warn({ cause: reason(error) }, 'a pooler shares sessions: statements are not prepared');
        }
        this.#preparesStatements = false;
        return this.#query({ name, text }, values);
      }
      throw new StoreError(`Postgres: ${reason(error)}`, { cause: error });
    }
  }

  /** A new session: with TLS or without, in the order in which the URL wants them tried. */
  async #connect(): Promise<Client> {
    const until = performance.now() + this.#timeoutMs;
    const failures: unknown[] = [];
    for (const ssl of this.#target.tls) {
      const left = Math.ceil(until - performance.now());
      if (left <= 0) break;
      const session = new Client({ ...this.#config(left), ssl });
      // Without a listener the process would end when a session breaks that carries no query.
      session.on('error', () => {});
      try {
        await session.connect();
        return session;
      } catch (error) {
        failures.push(error);
      }
    }
    const failure = failures.length === 1 ? failures[0] : new AggregateError(failures);
    if (this.#limitsStatements && reason(failure).includes('startup parameter: statement_timeout')) {
      this.#limitsStatements = false;
      this.#log.warn(
        { cause: reason(failure) },
        'a pooler takes no statement_timeout: set it for the role, ALTER ROLE ... SET statement_timeout',
      );
      return this.#connect();
    }
    throw failure;
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
      ...this.#target.client,
    };
  }
}

/** The codes of an error, or of those that it bundles. */
function codes(error: unknown): unknown[] {
  const errors: unknown[] = error instanceof AggregateError ? error.errors : [error];
  return errors.map((one) => (one instanceof Error && 'code' in one ? one.code : undefined));
}

/** bigint arrives as text, since it can be larger than what a number holds exactly. */
function toRow(row: { visitor_count: string; epoch: string; counting: Row['counting'] }): Row {
  return { count: Number(row.visitor_count), epoch: Number(row.epoch), counting: row.counting };
}

function required({ row }: { row: Row | undefined }): Row {
  if (row) return row;
  throw new StoreError('Postgres: table visitors has no row with site_id 1: run postgres/init.sql');
}
