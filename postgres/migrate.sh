#!/bin/sh
# Applies the migrations that the database lacks, in order and once each, and sets the application's privileges.
# Usage: migrate.sh, with PGHOST, PGUSER, PGDATABASE... for the tables' owner, and APPLICATION_ROLE
set -eu

# host/up.sh looks for the first two words.
die() {
  printf 'migrate failed: %s\n' "$*"
  exit 1
}

MIGRATIONS=${MIGRATIONS:-/migrations}
PRIVILEGES=${PRIVILEGES:-/privileges.sql}
[ -n "${APPLICATION_ROLE:-}" ] || die 'APPLICATION_ROLE has to name the role that the application logs in as.'
export PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-5}" PGAPPNAME=migrate
# What privileges.sql and migrations read by current_setting().
export PGOPTIONS="-c stack.role=$APPLICATION_ROLE"
secret=/run/secrets/postgres/password
if [ -z "${PGPASSWORD:-}${PGPASSFILE:-}" ] && [ -r $secret ]; then
  export PGPASSFILE=/tmp/pgpass
  (umask 077 && printf '*:*:*:*:%s\n' "$(cat $secret)" > $PGPASSFILE)
fi

if ! [ -r "$MIGRATIONS" ] || ! [ -x "$MIGRATIONS" ]; then die "$MIGRATIONS cannot be read"; fi
# How the session begins, and returns to after each file, whatever that has set. A migration may take long, so no time limit but
# that for locks holds: while a statement waits for a table, every later query of that table waits behind it.
settings="RESET ALL;
SET client_min_messages = warning;
SET lock_timeout = '${MIGRATE_LOCK_TIMEOUT:-5s}';
-- Postgres before 17 lacks one of these.
SELECT set_config(name, '0', false) FROM pg_settings
 WHERE name IN ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout');"

# NNNN_name.sql, numbered from 1 without a gap.
expected=1 values='' steps=''
for file in "$MIGRATIONS"/*.sql; do
  [ -e "$file" ] || break
  name=$(basename "$file" .sql)
  case "$name" in
  # The name is quoted in SQL below.
  *[!a-z0-9_]*) valid=no ;;
  [0-9][0-9][0-9][0-9]_[a-z]*) valid=yes ;;
  *) valid=no ;;
  esac
  [ $valid = yes ] || die "$name.sql is no name of a migration: give it one like $(printf %04d $expected)_add_notes.sql"
  [ "${name%%_*}" = "$(printf %04d $expected)" ] ||
    die "after $(printf %04d $((expected - 1))) comes $name.sql: number it $(printf %04d $expected), or restore the one between"
  # Under a deploy a migration may hold its locks only for a moment, since visitors wait for them. Postgres before 17 limits each
  # statement alone.
  begin="BEGIN; SELECT set_config(name, '${MIGRATE_TRANSACTION_TIMEOUT:-0}', true) FROM pg_settings
    WHERE name IN ('statement_timeout', 'transaction_timeout');" commit='COMMIT;'
  # Its first line says that no transaction may surround it, as CREATE INDEX CONCURRENTLY demands.
  if head -n 1 "$file" | grep -q '^-- no transaction'; then
    begin='' commit=''
  # A COMMIT of its own would keep half of a file that fails after it.
  elif grep -qiE '^(begin|start transaction|commit|rollback)( work| transaction)? *;' "$file"; then
    die "$name.sql begins or ends a transaction: remove BEGIN and COMMIT, because migrate surrounds each file with them"
  fi
  sum=$(sha256sum < "$file")
  row="($expected, '$name', '${sum%% *}')"
  values="$values${values:+, }$row"
  steps="$steps
SELECT NOT EXISTS (SELECT FROM public.schema_migrations WHERE version = $expected) AS pending \gset
\if :pending
  \echo migrate: $name
  $begin
  \i $file
  INSERT INTO public.schema_migrations (version, name, checksum) VALUES $row;
  $commit
  $settings
\endif"
  expected=$((expected + 1))
done

{
  cat << SQL
\set ON_ERROR_STOP on
$settings
-- One migrate at a time.
SELECT pg_try_advisory_lock(hashtext('migrate')) AS alone \gset
\if :alone
\else
  \echo migrate: waits for another migrate, 60 s at most
  SET lock_timeout = '60s';
  SELECT pg_advisory_lock(hashtext('migrate'));
  $settings
\endif
-- With its schema, because a migration made by pg_dump empties the search_path.
CREATE TABLE IF NOT EXISTS public.schema_migrations (
  version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
-- Only the owner reads and writes it, whatever the default privileges are.
SELECT format('REVOKE ALL ON public.schema_migrations FROM %I', grantee) FROM information_schema.role_table_grants
 WHERE table_schema = 'public' AND table_name = 'schema_migrations' AND grantee NOT IN (current_user, 'PUBLIC') GROUP BY grantee \gexec
DO \$\$ DECLARE wrong text; BEGIN
  WITH files (version, name, checksum) AS (VALUES ${values:-(0, '', '')})
  SELECT string_agg(CASE
      WHEN a.name <> f.name THEN format('%s was applied under the number of %s: restore its file, and give the new one the next number', a.name, f.name)
      WHEN a.checksum <> f.checksum THEN format('%s was applied, and its file has changed since: restore it, and write another migration', a.name)
      ELSE format('%s comes after %s, which was applied: give it the next number', f.name, latest.name)
    END, '; ') INTO wrong
    FROM files f LEFT JOIN public.schema_migrations a USING (version),
      (SELECT version, name FROM public.schema_migrations ORDER BY version DESC LIMIT 1) AS latest
   WHERE (a.name, a.checksum) IS DISTINCT FROM (f.name, f.checksum) AND f.version BETWEEN 1 AND latest.version;
  IF wrong IS NOT NULL THEN RAISE EXCEPTION '%', wrong; END IF;
END \$\$;
-- An older version of the application may run on a newer schema: that is the way back from a deploy.
SELECT coalesce(string_agg(name, ', ' ORDER BY version), '') AS unknown, count(*) > 0 AS ahead
  FROM public.schema_migrations WHERE version >= $expected \gset
\if :ahead
  \echo migrate: the database has migrations that these files lack: :unknown
\endif
$steps
SQL
  [ ! -e "$PRIVILEGES" ] || echo "\\i $PRIVILEGES"
} | psql --no-psqlrc --quiet --tuples-only --no-align --output=/dev/null 2>&1 ||
  die "see above. Of the file that failed nothing was kept, unless its first line is '-- no transaction'."
