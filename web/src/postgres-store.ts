import { Pool, type PoolClient } from 'pg';
import { type PostgresStore, type Row, StoreError } from './counter.ts';

const ROW = 'visitor_count, epoch, counting';

/**
 * Later than every epoch before, also of another life of this table: Redis may outlive a volume or a backup that is
 * restored, and must not take its own old epoch for the new one. So epochs are times, in milliseconds.
 */
const NEXT_EPOCH = 'GREATEST(epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)';

const READ = `SELECT ${ROW} FROM visitors WHERE site_id = 1`;

// GREATEST: replies, and so commits, arrive in any order and some of them twice.
// The epoch is the fence: numbers of an epoch that is over must not be committed.
const RECORD = `
  UPDATE visitors SET visitor_count = GREATEST(visitor_count, $2) WHERE site_id = 1 AND epoch = $1`;

// The epoch moves only when Redis had it: while Postgres counts, replicas need not start over at every batch.
const TAKE_OVER = `
  UPDATE visitors
     SET visitor_count = visitor_count + $1, counting = 'postgres',
         epoch = CASE counting WHEN 'redis' THEN ${NEXT_EPOCH} ELSE epoch END
   WHERE site_id = 1 AND (counting = 'postgres' OR $2) RETURNING ${ROW}`;

const HAND_BACK = `
  UPDATE visitors SET epoch = ${NEXT_EPOCH}, counting = 'redis' WHERE site_id = 1 AND epoch = $1 RETURNING ${ROW}`;

// A reset that NGINX or the counter repeats, because its answer was lost, finds its id and changes nothing. NGINX stops
// repeating within seconds. One that the network held back finds a reset that was sent later. A time that is still to come
// is ignored: the clock was set back. The row is locked before the id is noted: an id must not be noted for nothing.
const LATER = (sentAt: string) =>
  `sent_at > to_timestamp(${sentAt} / 1000.0) AND sent_at <= clock_timestamp()`;
const WAS_RESET = `SELECT id FROM resets WHERE id = $1 OR ${LATER('$2')} LIMIT 1`;
const RESET = `
  WITH forgotten AS (DELETE FROM resets WHERE at < now() - interval '10 minutes'),
       current AS (SELECT site_id FROM visitors WHERE site_id = 1 AND epoch = $2 FOR UPDATE),
       noted AS (INSERT INTO resets (id, sent_at) SELECT $1, to_timestamp($3 / 1000.0) FROM current
                  WHERE NOT EXISTS (SELECT FROM resets WHERE ${LATER('$3')})
                  ON CONFLICT DO NOTHING RETURNING id)
  UPDATE visitors SET visitor_count = 0, epoch = ${NEXT_EPOCH}, counting = 'redis'
   WHERE site_id = 1 AND EXISTS (SELECT FROM noted) RETURNING ${ROW}`;

/** Owns a pool of connections to Postgres until close(). */
export class PostgresCounter implements PostgresStore {
  readonly #pool: Pool;
  /** A number for each connection. */
  readonly #sessions = new WeakMap<PoolClient, number>();
  #connected = 0;

  /**
   * @param url postgres://user:password@host:port/database, with sslmode and sslrootcert as libpq has them
   * @param timeoutMs after which connecting, or a statement, is given up
   */
  constructor(url: string, timeoutMs: number) {
    this.#pool = new Pool({
      connectionString: url,
      application_name: 'web',
      // Kept, or the first visit after a quiet time would have to connect.
      idleTimeoutMillis: 0,
      // But not for ever: on SIGTERM Postgres waits until its sessions end by themselves. Shorter than its grace period,
      // 30 s in docker-compose.yml.
      maxLifetimeSeconds: 20,
      // One for visits and one for resets, of which the counter does one thing at a time, and one for the readiness
      // check.
      max: 3,
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs,
      // query_timeout is the client's alone: end the statement on the server first, so that few of those that
      // are given up here commit all the same.
      statement_timeout: Math.ceil(timeoutMs * 0.8),
      keepAlive: true,
    });
    // A connection that breaks fails the query that it carries. One that carries none, in the pool or on the way from
    // or to it, only says so: nothing is lost, but without a listener the process would end.
    this.#pool.on('error', () => {});
    this.#pool.on('connect', (client) => {
      client.on('error', () => {});
      this.#sessions.set(client, ++this.#connected);
    });
  }

  async read(): Promise<Row> {
    return required(await this.#query('read', READ, []));
  }

  async record(epoch: number, count: number): Promise<boolean> {
    const { changed } = await this.#query('record', RECORD, [epoch, count]);
    return changed === 1;
  }

  async takeOver(n: number, insist: boolean): Promise<Row | undefined> {
    const { row } = await this.#query('take over', TAKE_OVER, [n, insist]);
    return row;
  }

  async handBack(seen: number): Promise<Row | undefined> {
    const { row } = await this.#query('hand back', HAND_BACK, [seen]);
    return row;
  }

  async reset(id: string, seen: number, sentAt: number): Promise<Row | 'moved' | 'done'> {
    const { row } = await this.#query('reset', RESET, [id, seen, sentAt]);
    if (row) return row;
    const { changed } = await this.#query('was reset', WAS_RESET, [id, sentAt]);
    return changed ? 'done' : 'moved';
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  /** Under a name a statement is prepared once in each session: parsing and planning take as long as the update itself. */
  async #query(
    statement: string,
    text: string,
    values: unknown[],
  ): Promise<{ row: Row | undefined; changed: number | null }> {
    try {
      const client = await this.#pool.connect();
      let failure: unknown;
      try {
        // And once for each connection: all those to PGlite share one session.
        const name = `${statement} ${this.#sessions.get(client)}`;
        const { rows, rowCount } = await client.query({ name, text, values });
        return { row: rows[0]?.epoch ? toRow(rows[0]) : undefined, changed: rowCount };
      } catch (error) {
        failure = error;
        throw error;
      } finally {
        // Released with an error, a connection is closed: after a time-out its late reply would meet the next query.
        client.release(failure !== undefined);
      }
    } catch (error) {
      throw new StoreError(`Postgres: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
}

/** bigint arrives as text, since it can be larger than what a number holds exactly. */
function toRow(row: { visitor_count: string; epoch: string; counting: Row['counting'] }): Row {
  return { count: Number(row.visitor_count), epoch: Number(row.epoch), counting: row.counting };
}

function required({ row }: { row: Row | undefined }): Row {
  if (row) return row;
  throw new StoreError('Postgres: table visitors has no row with site_id 1: run postgres/init.sql');
}
