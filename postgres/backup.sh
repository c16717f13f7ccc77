#!/bin/sh
# Writes a base backup, with the WAL of the time that it takes, or a dump of the application's database, to stdout. Both as a role that
# copies and reads, and cannot change anything (roles.sql). ./stack backup runs it in Postgres's container.
# Usage: backup.sh base LABEL | backup.sh dump
set -eu
user=stack_backup

if [ "$1" = base ]; then
  # Until the backup has it, Postgres keeps the WAL that it would remove: a slot that ends with the session that made it.
  slot=$(mktemp -d)
  trap 'rm -rf "$slot"' EXIT
  mkfifo "$slot/commands"
  psql --no-psqlrc --quiet --no-password "dbname=$PGDATABASE user=$user replication=true" < "$slot/commands" > "$slot/made" 2>&1 &
  exec 3> "$slot/commands"
  printf 'CREATE_REPLICATION_SLOT backup_%s TEMPORARY PHYSICAL RESERVE_WAL;\n%s\n' $$ '\echo made' >&3
  tries=300
  until grep -q '^made' "$slot/made"; do
    if [ $((tries -= 1)) -le 0 ] || ! kill -0 $! 2> /dev/null || grep -q ERROR "$slot/made"; then
      cat "$slot/made" >&2
      exit 1
    fi
    sleep 0.1
  done
  # By the label archive.sh knows what the backup needs, and restore.sh that there is an archive.
  pg_basebackup --username $user --no-password --label "$2${WAL_ARCHIVE:+ with an archive}" --pgdata - --format tar \
    --wal-method fetch --checkpoint fast --gzip
  exit
fi
# Other roles may have grants. A dump has no roles, and could not be read without them.
psql --no-psqlrc --username $user --no-password --tuples-only --no-align --command "
  SELECT format('DO \$\$ BEGIN IF to_regrole(%L) IS NULL THEN CREATE ROLE %I NOLOGIN; END IF; END \$\$;', quote_ident(rolname), rolname)
    FROM pg_roles WHERE rolname !~ '^pg_'"
pg_dump --username $user --no-password
echo '-- whole'
