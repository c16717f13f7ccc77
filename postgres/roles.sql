-- The application's own role, current_setting('stack.role'). Postgres's container runs this at every start (entrypoint.sh): a role may
-- always change its own password and settings, so a compromised application could lock the next one out for good.
-- A superuser runs it. No statement may contain a semicolon followed by a blank line, which is where Postgres's single-user mode
-- ends a statement.

-- A name that was changed in docker-compose.yml, and not in the volume, would leave the data to a role that is not used. entrypoint.sh
-- reads the name after "holds the", and adds the remedy.
DO $$ DECLARE role text := current_setting('stack.role'); held text; BEGIN
  -- current_user is the superuser of initdb, here and where psql runs this.
  IF current_user <> current_setting('stack.owner') THEN RAISE EXCEPTION 'the volume holds the owner %', current_user; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
    -- The oldest is the application's: the line below made it when the volume was new.
    SELECT rolname INTO held FROM pg_roles WHERE rolcanlogin AND NOT rolsuper AND NOT rolreplication ORDER BY oid LIMIT 1;
    IF held IS NOT NULL THEN RAISE EXCEPTION 'the volume holds the role %', held; END IF;
    EXECUTE format('CREATE ROLE %I', role);
  END IF;
END $$;

-- A replica of web has four sessions at most: three that work, and one that is being renewed (web/src/connect-postgres.ts). Nine
-- replicas, twice during a deploy, have 72. max_connections in docker-compose.yml leaves 20 to backups, monitoring and repairs.
DO $$ DECLARE role text := current_setting('stack.role'); name text; BEGIN
  EXECUTE format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT
    CONNECTION LIMIT 80 VALID UNTIL ''infinity''', role);
  EXECUTE format('ALTER ROLE %I RESET ALL', role);
  FOR name IN SELECT datname FROM pg_database LOOP
    EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET ALL', role, name);
  END LOOP;
  -- No statement of the counter sorts on disk. An application whose reports do says how much. Only a superuser can change this setting.
  EXECUTE format('ALTER ROLE %I SET temp_file_limit = 0', role);
  -- The passwords are what the files say. Read here, they show in no list of processes and in no log.
  EXECUTE format('ALTER ROLE %I PASSWORD %L', role, rtrim(pg_read_file('/run/secrets/web/password'), E'\n'));
  EXECUTE format('ALTER ROLE CURRENT_USER PASSWORD %L', rtrim(pg_read_file('/run/secrets/postgres/password'), E'\n'));
  -- Tables and sequences that the owner creates: their rows, and nothing else. privileges.sql may take some away.
  EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', role);
  EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO %I', role);
END $$;

-- ./stack backup: copies the cluster, reads the data, and changes nothing. Its password is in Postgres's container alone, and another
-- one at each start.
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'stack_backup') THEN CREATE ROLE stack_backup; END IF;
  -- It reads rows that a policy hides as well: a backup without them would be none.
  EXECUTE format('ALTER ROLE stack_backup LOGIN REPLICATION NOSUPERUSER NOCREATEDB NOCREATEROLE BYPASSRLS INHERIT
    CONNECTION LIMIT 4 PASSWORD %L', rtrim(pg_read_file('/tmp/backup-password', true), E'\n'));
  GRANT pg_read_all_data TO stack_backup;
END $$;

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
