-- Run once by the image's entrypoint, on an empty volume; against any other Postgres, by hand:
--   psql "$DATABASE_URL" -f postgres/init.sql
-- It may be run again: it never changes what is counted.

CREATE TABLE IF NOT EXISTS visitors (
  site_id integer PRIMARY KEY,
  site_name text NOT NULL,
  -- bigint: an integer ends at 2^31 - 1. The application stops at 2^53 - 1, where its numbers stop being exact.
  visitor_count bigint NOT NULL DEFAULT 0 CHECK (visitor_count >= 0),
  -- The fence, and who gives out the numbers of this epoch: docs/counter.md
  epoch bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)::bigint,
  counting text NOT NULL DEFAULT 'redis' CHECK (counting IN ('redis', 'postgres'))
)
-- Every visit updates the one row: free space on its page lets the old versions be reused in place (HOT).
WITH (fillfactor = 50);

INSERT INTO visitors (site_id, site_name) VALUES (1, 'linodeexample.com') ON CONFLICT DO NOTHING;

-- The resets of the last minutes, so that a repeated one is known: a lost answer must not reset twice.
CREATE TABLE IF NOT EXISTS resets (
  id text PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  -- By the clock of NGINX, which names each request.
  sent_at timestamptz NOT NULL DEFAULT now()
);
-- Of a volume that an older version made.
ALTER TABLE resets ADD COLUMN IF NOT EXISTS sent_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX IF NOT EXISTS resets_at ON resets (at);
