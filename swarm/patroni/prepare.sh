#!/bin/sh
# In the primary: makes the database, and sets roles and passwords right (postgres/roles.sql). Usage: prepare.sh
set -eu
run_sql() { psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "$@"; }

[ -n "$(run_sql --dbname postgres --command "SELECT datname FROM pg_database WHERE datname = '$POSTGRES_DB'")" ] ||
  createdb --maintenance-db postgres "$POSTGRES_DB"
export PGOPTIONS="-c client_min_messages=warning -c stack.role=$APPLICATION_ROLE -c stack.owner=$POSTGRES_USER"
run_sql --file /docker-entrypoint-initdb.d/roles.sql
# Patroni's own role. Its password may have changed with the secret.
run_sql << 'SQL'
SELECT format('ALTER ROLE replicator PASSWORD %L', rtrim(pg_read_file('/run/secrets/replication/password'), E'\n')) \gexec
SQL
