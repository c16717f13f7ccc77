/** The tables as the first version of the counter made them. */
export const FIRST_SCHEMA = `
  CREATE TABLE visitors (
    site_id integer PRIMARY KEY,
    site_name text NOT NULL,
    visitor_count bigint NOT NULL DEFAULT 0 CHECK (visitor_count >= 0),
    epoch bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000)::bigint,
    counting text NOT NULL DEFAULT 'redis' CHECK (counting IN ('redis', 'postgres'))
  ) WITH (fillfactor = 50);
  INSERT INTO visitors (site_id, site_name) VALUES (1, 'linodeexample.com');
  CREATE TABLE resets (id text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
  CREATE INDEX resets_at ON resets (at);`;
