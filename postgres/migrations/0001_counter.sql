-- The counter's tables. It is one that may run again, on a database that an earlier version of this project made: it never
-- changes the count. Another migration need not.

CREATE TABLE IF NOT EXISTS visitors (
  site_id integer PRIMARY KEY,
  site_name text NOT NULL,
  -- bigint: an integer ends at 2^31 - 1.
  visitor_count bigint NOT NULL DEFAULT 0 CHECK (visitor_count >= 0),
  -- The fence, and the sequencer of this epoch: docs/counter.md
  epoch bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)::bigint,
  counting text NOT NULL DEFAULT 'redis' CHECK (counting IN ('redis', 'postgres'))
)
-- Every visit updates the one row: free space on its page lets the old versions be reused in place (HOT).
WITH (fillfactor = 50);

INSERT INTO visitors (site_id, site_name) VALUES (1, 'linodeexample.com') ON CONFLICT DO NOTHING;

-- The resets of the last minutes, so that a repeated one is known: a lost answer must not reset twice.
CREATE TABLE IF NOT EXISTS resets (
  -- "C" orders bytes. The default order is the C library's: an index of glibc is corrupt under musl, and the reverse.
  id text COLLATE "C" PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  -- By the clock of NGINX, which names each request.
  sent_at timestamptz NOT NULL DEFAULT now()
);

-- From here on: what a table of an earlier version lacks.

ALTER TABLE resets ADD COLUMN IF NOT EXISTS sent_at timestamptz NOT NULL DEFAULT now();

-- The application's numbers are exact to 2^53 - 1, and its statements stop at 2^53, which tells it to refuse. A row that was set
-- beyond it by hand is brought back first: an epoch out of range stops all counting, so a new one begins.
UPDATE visitors SET visitor_count = 9007199254740992 WHERE visitor_count > 9007199254740992;
UPDATE visitors SET epoch = DEFAULT WHERE epoch NOT BETWEEN 0 AND 9007199254740991;
ALTER TABLE visitors
  DROP CONSTRAINT IF EXISTS visitors_exact,
  ADD CONSTRAINT visitors_exact CHECK (visitor_count <= 9007199254740992 AND epoch BETWEEN 0 AND 9007199254740991);

-- web cannot choose `at`, and now() stays the same throughout a transaction. So a transaction notes one reset, and one
-- statement cannot fill the disk with resets.
DO $$ BEGIN
  IF to_regclass('resets_one_at_a_time') IS NULL THEN
    DROP INDEX IF EXISTS resets_at;
    DELETE FROM resets WHERE ctid IN
      (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY at) AS nth FROM resets) AS same WHERE nth > 1);
    CREATE UNIQUE INDEX resets_one_at_a_time ON resets (at);
  END IF;
END $$;

-- An id is NGINX's $request_id or a UUID. NOT VALID: Postgres does not check the rows that are there, however many.
ALTER TABLE resets
  ALTER COLUMN id TYPE text COLLATE "C",
  DROP CONSTRAINT IF EXISTS resets_id_short,
  ADD CONSTRAINT resets_id_short CHECK (length(id) <= 128) NOT VALID;
