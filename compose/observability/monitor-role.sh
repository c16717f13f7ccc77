#!/bin/sh
# Makes the role stack_monitor, or brings it up to date. Runs in the image of migrate (compose/observability.yml).
set -eu
PGPASSWORD=$(cat /run/secrets/postgres/password)
export PGPASSWORD
for _ in $(seq 60); do
  ! psql --no-psqlrc --quiet --command='SELECT' 2> /tmp/cause || break
  sleep 1
done
# Two sessions and one that is being replaced. A question that takes longer is not worth an answer.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 << 'END' || { cat /tmp/cause >&2 && exit 1; }
\set password `cat /run/secrets/monitor/password`
SELECT 'CREATE ROLE stack_monitor' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'stack_monitor') \gexec
ALTER ROLE stack_monitor LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT
  CONNECTION LIMIT 3 PASSWORD :'password';
ALTER ROLE stack_monitor SET statement_timeout = '3s';
GRANT pg_monitor TO stack_monitor;
END
