import { Postgres, prepared, type Statement } from '../connect-postgres.ts';
import type { Log } from '../log.ts';
import { reason } from '../reason.ts';
import { StoreError } from '../unavailable.ts';
import type { PostgresStore, Row } from './counter.ts';

const ROW = 'visitor_count, epoch, counting';

/**
 * Later than every epoch before, also of another life of this table: Redis may outlive a volume or a backup that is
 * restored, and must not take its own old epoch for the new one. So epochs are times, in milliseconds.
 */
const NEXT_EPOCH = 'GREATEST(epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)';

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

/** The counter in Postgres. Owns its sessions until close(). */
export class PostgresCounter implements PostgresStore {
  readonly #postgres: Postgres;

  /** The parameters are Postgres's. */
  constructor(url: string, timeoutMs: number, log?: Pick<Log, 'warn'>) {
    this.#postgres = new Postgres(url, timeoutMs, log);
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
    this.#postgres.close();
  }

  /** @throws StoreError whatever the cause: to the counter an error in a statement is an outage too. */
  async #query(
    statement: Statement,
    values: unknown[],
  ): Promise<{ row: Row | undefined; changed: number | null }> {
    try {
      const { rows, rowCount } = await this.#postgres.query(statement, values);
      return { row: rows[0]?.epoch ? toRow(rows[0]) : undefined, changed: rowCount };
    } catch (error) {
      throw error instanceof StoreError
        ? error
        : new StoreError(`Postgres: ${reason(error)}`, { cause: error });
    }
  }
}

/** bigint arrives as text, since it can be larger than what a number holds exactly. */
function toRow(row: { visitor_count: string; epoch: string; counting: Row['counting'] }): Row {
  return { count: Number(row.visitor_count), epoch: Number(row.epoch), counting: row.counting };
}

function required({ row }: { row: Row | undefined }): Row {
  if (row) return row;
  throw new StoreError('Postgres: table visitors has no row with site_id 1: run ./stack up, which migrates');
}
