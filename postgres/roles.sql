-- The application's own role, web. Postgres's container runs this at every start, after init.sql: a role may always change its
-- own password and settings, so a compromised application could lock the next one out for good.
-- A superuser runs it. As in init.sql, no statement may contain a semicolon followed by a blank line.

DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'web') THEN CREATE ROLE web; END IF;
END $$;

-- A replica of web has four sessions at most: visits, resets, readiness, and one that is being renewed. Nine replicas, twice
-- during a deploy, have 72. max_connections in docker-compose.yml leaves 20 to backups, monitoring and repairs.
ALTER ROLE web LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT
  CONNECTION LIMIT 80 VALID UNTIL 'infinity';

DO $$ DECLARE name text; BEGIN
  ALTER ROLE web RESET ALL;
  FOR name IN SELECT datname FROM pg_database LOOP
    EXECUTE format('ALTER ROLE web IN DATABASE %I RESET ALL', name);
  END LOOP;
END $$;

-- None of web's statements sorts on disk. Only a superuser can change this setting.
ALTER ROLE web SET temp_file_limit = 0;

-- The passwords are what the files say. Read here, they show in no list of processes and in no log.
DO $$ BEGIN
  EXECUTE format('ALTER ROLE web PASSWORD %L', rtrim(pg_read_file('/run/secrets/web/password'), E'\n'));
  EXECUTE format('ALTER ROLE CURRENT_USER PASSWORD %L', rtrim(pg_read_file('/run/secrets/postgres/password'), E'\n'));
END $$;

-- web's privileges. An earlier version granted more.
REVOKE ALL ON visitors, resets FROM web;
GRANT SELECT, UPDATE (visitor_count, epoch, counting) ON visitors TO web;
-- Not `at`: a reset that is dated 2099 would never be forgotten.
GRANT SELECT, INSERT (id, sent_at), DELETE ON resets TO web;

-- By default every role may fill the disk: with temporary tables,
DO $$ BEGIN
  EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END $$;
-- in the other databases, where all of this is allowed,
REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC;
-- with large objects, messages in the WAL, and a file for each exported snapshot.
REVOKE EXECUTE ON FUNCTION
  lo_create(oid), lo_creat(integer), lo_from_bytea(oid, bytea),
  pg_logical_emit_message(boolean, text, text, boolean), pg_logical_emit_message(boolean, text, bytea, boolean),
  pg_export_snapshot()
  FROM PUBLIC;
