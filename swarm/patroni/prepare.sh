#!/bin/sh
# In the primary: makes the database, and sets roles and passwords right (postgres/roles.sql). Usage: prepare.sh [alone]
#   alone: no standby is there yet, so none is waited for
set -eu
export PGOPTIONS="-c client_min_messages=warning -c stack.role=$APPLICATION_ROLE -c stack.owner=$POSTGRES_USER${1:+ -c synchronous_commit=local}"
run_sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "$@"; }

[ -n "$(run_sql --dbname postgres --command "SELECT datname FROM pg_database WHERE datname = '$POSTGRES_DB'")" ] ||
  createdb --maintenance-db postgres "$POSTGRES_DB"
run_sql --file /docker-entrypoint-initdb.d/roles.sql
# Patroni's own role. Data that was restored may have it with another password, a dump without any right.
run_sql << 'SQL'
SELECT 'CREATE ROLE replicator' WHERE to_regrole('replicator') IS NULL \gexec
SELECT format('ALTER ROLE replicator LOGIN REPLICATION PASSWORD %L', rtrim(pg_read_file('/run/secrets/replication/password'), E'\n')) \gexec
SQL
