#!/bin/sh
# Applies the migrations that the database lacks, in order and once each, and sets the application's privileges.
# Usage: migrate.sh, with PGHOST, PGUSER, PGDATABASE... for the database's owner, and APPLICATION_ROLE
set -eu

die() {
  printf 'migrate: %s\n' "$*"
  exit 1
}

MIGRATIONS=${MIGRATIONS:-/migrations}
export PGCONNECT_TIMEOUT="${PGCONNECT_TIMEOUT:-5}" PGAPPNAME=migrate
# What privileges.sql and migrations read by current_setting().
export PGOPTIONS="-c stack.role=$APPLICATION_ROLE"
secret=/run/secrets/postgres/password
if [ -z "${PGPASSWORD:-}${PGPASSFILE:-}" ] && [ -r $secret ]; then
  export PGPASSFILE=/tmp/pgpass
  (umask 077 && printf '*:*:*:*:%s\n' "$(cat $secret)" > $PGPASSFILE)
fi

if ! [ -r "$MIGRATIONS" ] || ! [ -x "$MIGRATIONS" ]; then die "$MIGRATIONS cannot be read"; fi
# NNNN_name.sql, numbered from 1 without a gap.
expected=1
values=
for file in "$MIGRATIONS"/*.sql; do
  [ -e "$file" ] || break
  name=$(basename "$file" .sql)
  case "$name" in
  [0-9][0-9][0-9][0-9]_[a-z]*) ;;
  *) die "$name.sql is no name of a migration: give it one like $(printf %04d $expected)_add_notes.sql" ;;
  esac
  [ "${name%%_*}" = "$(printf %04d $expected)" ] ||
    die "after $(printf %04d $((expected - 1))) comes $name.sql: number it $(printf %04d $expected), or restore the one between"
  sum=$(sha256sum < "$file")
  values="$values${values:+, }($expected, '$name', '${sum%% *}')"
  expected=$((expected + 1))
done

{
  # One client at a time. It waits for another migrate, and below for tables that others use, and gives up.
  cat << SQL
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET lock_timeout = '60s';
SELECT pg_advisory_lock(hashtext('migrate'));
SET lock_timeout = '${MIGRATE_LOCK_TIMEOUT:-5s}';
-- Postgres before 17 lacks one of these. A migration may take long.
SELECT set_config(name, '0', false) FROM pg_settings
 WHERE name IN ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout');
CREATE TABLE IF NOT EXISTS schema_migrations (
  version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
-- Nobody else writes to it, whatever the default privileges are.
SELECT format('REVOKE ALL ON schema_migrations FROM %I', grantee) FROM information_schema.role_table_grants
 WHERE table_schema = current_schema() AND table_name = 'schema_migrations' AND grantee NOT IN (current_user, 'PUBLIC') GROUP BY grantee \gexec
DO \$\$ DECLARE wrong text; BEGIN
  WITH files (version, name, checksum) AS (VALUES ${values:-(0, '', '')})
  SELECT string_agg(format('%s was applied, and its file has changed since: restore it, and write another migration', a.name), '; ')
    INTO wrong FROM schema_migrations a JOIN files USING (version) WHERE (a.name, a.checksum) <> (files.name, files.checksum);
  IF wrong IS NOT NULL THEN RAISE EXCEPTION '%', wrong; END IF;
END \$\$;
SQL
  for file in "$MIGRATIONS"/*.sql; do
    [ -e "$file" ] || break
    name=$(basename "$file" .sql)
    sum=$(sha256sum < "$file")
    version=$(printf %s "${name%%_*}" | sed 's/^0*//')
    begin='BEGIN;' commit='COMMIT;'
    # What cannot be undone, and cannot be done in a transaction: CREATE INDEX CONCURRENTLY, for one.
    if head -n 1 "$file" | grep -q '^-- no transaction'; then begin='' commit=''; fi
    cat << SQL
SELECT NOT EXISTS (SELECT FROM schema_migrations WHERE version = $version) AS pending \gset
\if :pending
  \echo migrate: $name
  $begin
  \i $file
  INSERT INTO schema_migrations (version, name, checksum) VALUES ($version, '$name', '${sum%% *}');
  $commit
\endif
SQL
  done
  [ ! -e "${PRIVILEGES:-/privileges.sql}" ] || echo "\\i ${PRIVILEGES:-/privileges.sql}"
} | psql --no-psqlrc --quiet --tuples-only --no-align --output=/dev/null 2>&1 ||
  die "the database is as it was before the migration that failed, see above: nothing of it was kept, unless it says 'no transaction'"
