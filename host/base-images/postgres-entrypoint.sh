#!/bin/sh
# The official image's contract, as far as the stack relies on it: an empty PGDATA is initialised with POSTGRES_USER,
# POSTGRES_DB and POSTGRES_PASSWORD (or _FILE), then /docker-entrypoint-initdb.d/*.sql run, on a server that only
# the local socket reaches; and root steps down to postgres.
set -eu

if [ "${1:-}" = postgres ]; then
  if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown -R postgres:postgres "$(dirname "$PGDATA")" "$PGDATA"
    chmod 0700 "$PGDATA"
    # The logs: a pipe that belongs to root.
    chown postgres /proc/self/fd/1 /proc/self/fd/2 2>/dev/null || true
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
  fi

  if [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA"
    user=${POSTGRES_USER:-postgres}
    database=${POSTGRES_DB:-$user}
    PGPASSWORD=${POSTGRES_PASSWORD:-$(cat "${POSTGRES_PASSWORD_FILE:?set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE}")}
    export PGPASSWORD
    passwords=$(mktemp)
    printf '%s\n' "$PGPASSWORD" > "$passwords"
    # The arguments of POSTGRES_INITDB_ARGS are words.
    # shellcheck disable=SC2086
    initdb --username="$user" --pwfile="$passwords" ${POSTGRES_INITDB_ARGS:-}
    rm "$passwords"
    printf '\nhost all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
    printf "\nlisten_addresses = '*'\n" >> "$PGDATA/postgresql.conf"
    pg_ctl --wait start -o "-c listen_addresses=''"
    [ "$database" = postgres ] || psql --set ON_ERROR_STOP=1 --username="$user" --dbname=postgres \
      --command="CREATE DATABASE \"$database\""
    for file in /docker-entrypoint-initdb.d/*.sql; do
      [ ! -f "$file" ] || psql --set ON_ERROR_STOP=1 --username="$user" --dbname="$database" --file="$file"
    done
    pg_ctl --wait stop -m fast
    unset PGPASSWORD
  fi
fi
exec "$@"
