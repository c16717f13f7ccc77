import type { QueryResult } from 'pg';
import { Postgres, prepared, type Statement } from '../connect-postgres.ts';
import type { Log } from '../log.ts';
import { reason } from '../reason.ts';
import { StoreError } from '../unavailable.ts';
import type { PostgresStore, Reset, Row, Sequencer } from './store.ts';

const ROW = 'visitor_count, epoch, counting';

/**
 * Later than every epoch before, also of another life of this table: a Redis that outlives a volume must not take its own old
 * epoch for the new one. So epochs are times, in milliseconds.
 */
const NEW_EPOCH = 'epoch = GREATEST(epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)';

/** The fence (invariant 1 of protocol.ts): every write of the count names the epoch that it belongs to, in its first parameter. */
const IN_EPOCH = 'site_id = 1 AND epoch = $1';

const READ = prepared(`SELECT ${ROW} FROM visitors WHERE site_id = 1`);

// GREATEST (invariant 3): commits arrive in any order and some of them twice.
const COMMIT = prepared(`UPDATE visitors SET visitor_count = GREATEST(visitor_count, $2) WHERE ${IN_EPOCH}`);

// 2^53 is the first number that a double does not tell from the next: the count stops there, and the counter refuses it.
const ADDED = 'visitor_count = LEAST(visitor_count + $2, 9007199254740992)';
const INCREMENT_IN_FALLBACK = prepared(`UPDATE visitors SET ${ADDED} WHERE ${IN_EPOCH} RETURNING ${ROW}`);

// Whatever changes the sequencer, and a reset, starts an epoch in the same statement (invariant 2).
const FAIL_OVER = prepared(
  `UPDATE visitors SET ${NEW_EPOCH}, counting = 'postgres', ${ADDED} WHERE ${IN_EPOCH} RETURNING ${ROW}`,
);
const FAIL_BACK = prepared(
  `UPDATE visitors SET ${NEW_EPOCH}, counting = 'redis' WHERE ${IN_EPOCH} RETURNING ${ROW}`,
);

// A repeated reset finds its id. A reset that the network held back finds one that was sent later (invariant 6). Neither happens again.
// A `sent_at` in the future is ignored: the clock was set back. The clock may also jump forward, so the last 1,000 resets stay,
// however old they are. The statement locks the row before it inserts the id, so a refused reset leaves no id. Two resets that begin in
// the same microsecond violate the unique index on `at`: the second inserts nothing, sees that the epoch has moved, and is sent again.
const LATER = 'sent_at > to_timestamp($3 / 1000.0) AND sent_at <= clock_timestamp()';
const RESET = prepared(`
  WITH forgotten AS (DELETE FROM resets WHERE at < now() - interval '10 minutes'
                       AND at < (SELECT at FROM resets ORDER BY at DESC OFFSET 999 LIMIT 1)),
       current AS (SELECT site_id FROM visitors WHERE ${IN_EPOCH} FOR UPDATE),
       noted AS (INSERT INTO resets (id, sent_at) SELECT $2, to_timestamp($3 / 1000.0) FROM current
                  WHERE NOT EXISTS (SELECT FROM resets WHERE ${LATER})
                  ON CONFLICT DO NOTHING RETURNING id),
       repeated AS (SELECT FROM resets WHERE id = $2 OR ${LATER} LIMIT 1),
       reset AS (UPDATE visitors SET visitor_count = 0, ${NEW_EPOCH}, counting = 'redis'
                  WHERE site_id = 1 AND EXISTS (SELECT FROM noted) RETURNING ${ROW})
  SELECT ${ROW} FROM reset UNION ALL SELECT NULL, NULL, 'repeated' FROM repeated`);

const PING = prepared('UPDATE visitors SET visitor_count = visitor_count WHERE site_id = 1');

/** The counter in Postgres. Owns its sessions until close(). */
export class PostgresCounter implements PostgresStore {
  readonly #postgres: Postgres;

  /** The parameters are Postgres's. */
  constructor(url: string, timeoutMs: number, log?: Pick<Log, 'warn'>) {
    this.#postgres = new Postgres(url, timeoutMs, log);
  }

  async read(): Promise<Row> {
    const { rows } = await this.#query(READ);
    return toRow(rows[0]) ?? noRow();
  }

  async commit(epoch: number, last: number): Promise<boolean> {
    const { rowCount } = await this.#query(COMMIT, epoch, last);
    return rowCount === 1;
  }

  async incrementInFallback(epoch: number, n: number): Promise<number | undefined> {
    const { rows } = await this.#query(INCREMENT_IN_FALLBACK, epoch, n);
    return toRow(rows[0])?.count;
  }

  async failOver(epoch: number, n: number): Promise<Row | undefined> {
    const { rows } = await this.#query(FAIL_OVER, epoch, n);
    return toRow(rows[0]);
  }

  async failBack(epoch: number): Promise<Row | undefined> {
    const { rows } = await this.#query(FAIL_BACK, epoch);
    return toRow(rows[0]);
  }

  async reset(epoch: number, { id, sentAt }: Reset): Promise<Row | 'repeated' | 'moved'> {
    const [row] = (await this.#query(RESET, epoch, id, sentAt)).rows;
    if (row?.counting === 'repeated') return 'repeated';
    return toRow(row) ?? 'moved';
  }

  async ping(): Promise<void> {
    const { rowCount } = await this.#query(PING);
    if (rowCount !== 1) noRow();
  }

  async close(): Promise<void> {
    this.#postgres.close();
  }

  /** @throws StoreError whatever the cause: to the counter an error in a statement is an outage too. */
  async #query(statement: Statement, ...values: (number | string)[]): Promise<QueryResult<Columns>> {
    try {
      return await this.#postgres.query(statement, values);
    } catch (error) {
      throw error instanceof StoreError
        ? error
        : new StoreError(`Postgres: ${reason(error)}`, { cause: error });
    }
  }
}

/** bigint arrives as text, since it can be larger than what a number holds exactly. */
interface Columns {
  visitor_count: string;
  epoch: string;
  counting: Sequencer | 'repeated';
}

function toRow(columns: Columns | undefined): Row | undefined {
  if (columns === undefined || columns.counting === 'repeated') return undefined;
  return { count: Number(columns.visitor_count), epoch: Number(columns.epoch), sequencer: columns.counting };
}

function noRow(): never {
  throw new StoreError('Postgres: table visitors has no row with site_id 1: run ./stack up, which migrates');
}
