#!/bin/sh
# What ./stack restore and ./stack upgrade do inside Postgres's image, on the volume of the data (staging.sh).
# Usage: restore.sh base [TIME] < FILE.tar.gz    stages a base backup, and the archive of WAL up to TIME (UTC) or to its end
#        restore.sh dump < FILE.sql.gz           stages a dump of the database
#        restore.sh save                         writes all databases and roles of the data in use into the volume, without a server
#        restore.sh cluster                      stages what was saved
#        restore.sh check < FILE.tar.gz          unpacks a base backup into /archive, and compares it with its manifest
#        restore.sh switch | undo                what is staged, or former, becomes the next
#        restore.sh discard                      removes former data; beside the server
#        restore.sh flush                        sends the newest WAL to the archive; beside the server
# Status: 3 if TIME is before the end of the backup; 1 for any other fault, with its cause
set -eu
# shellcheck source=postgres/staging.sh
. /usr/local/bin/staging.sh

# The cluster's own number, by which the archive tells one from another.
system_id() { pg_controldata "$1" | sed -n 's/^Database system identifier: *//p'; }

# Applies WAL, from the archive if there is one, and begins a new timeline: what is written from here on has other names in the archive
# than what was written before. The archive gets to know the timeline from the server that takes over.
# Usage: recover DIRECTORY TIMELINE [TIME]
recover() {
  touch "$1/recovery.signal"
  fetch=false mode=off
  if [ -n "${WAL_ARCHIVE:-}" ]; then
    _from=$WAL_ARCHIVE/$(system_id "$1")
    fetch="test -e $_from/%f.gz && gzip -dc $_from/%f.gz > %p" mode=on
  fi
  start "$1" "-c hot_standby=off -c archive_mode=$mode -c archive_command= -c 'restore_command=$fetch' \
    -c recovery_target_timeline=$2 -c recovery_target_action=promote ${3:+-c recovery_target_time=$3+00}" && return 0
  # Taken after a restore that was undone: it has a past of its own.
  if [ "$2" = latest ] && grep -q 'is not a child of this server' "$LOG"; then
    : > "$LOG"
    recover "$1" current "${3:-}"
    return
  fi
  ! grep -q 'before consistent recovery point' "$LOG" || exit 3
  last=$(sed -n 's/.*last completed transaction was at log time //p' "$LOG" | tail -n 1)
  ! grep -q 'before configured recovery target was reached' "$LOG" ||
    no "the last change ${WAL_ARCHIVE:+in the archive }is of ${last:-the time of the backup}. Without --at, the restore goes that far."
  no "Postgres cannot recover it: $(sed -n 's/.*FATAL: *//p' "$LOG" | head -n 1)"
}

# Staged data becomes this stack's: its names, a new epoch, other passwords at the next start (roles.sql).
finish() {
  run_sql --command "SELECT '\"$APPLICATION_ROLE\"'::regrole FROM public.schema_migrations" ||
    no "it is of another application: $(head -n 1 /tmp/psql)"
  run_sql --single-transaction --file /after-restore.sql || no "after-restore.sql fails: $(head -n 1 /tmp/psql)"
  stop "$STAGED"
  sync
}

# Unpacks a base backup, and compares it with its manifest. Usage: unpack DIRECTORY
unpack() {
  gzip -dc 2> /tmp/gzip | tar -xf - -C "$1" 2> /tmp/tar || no "it is not whole: $(cat /tmp/gzip /tmp/tar | grep -m 1 .)"
  [ -s "$1/PG_VERSION" ] || no 'it is no base backup of ./stack backup.'
  [ "$(cat "$1/PG_VERSION")" = "$version" ] || no "it is of Postgres $(cat "$1/PG_VERSION"), and this is $version."
  pg_verifybackup --quiet "$1" > /tmp/verify 2>&1 || no "it is not whole: $(head -n 1 /tmp/verify)"
}

stage_base() {
  stage
  mkdir -m 0700 "$STAGED"
  unpack "$STAGED"
  recover "$STAGED" latest "${1:-}"
  sed -n 's/.*last completed transaction was at log time /The last change is of /p' "$LOG" | tail -n 1 >&2
  finish
}

case "$1" in
base) stage_base "${2:-}" ;;
dump)
  stage_cluster
  createdb --maintenance-db postgres "$POSTGRES_DB"
  run_sql --file /docker-entrypoint-initdb.d/roles.sql || no "$(cat /tmp/psql)"
  load "$POSTGRES_DB" --single-transaction
  finish
  ;;
cluster)
  stage_cluster < "$SAVED"
  rm "$SAVED"
  load postgres
  stop "$STAGED"
  sync
  ;;
save)
  start "$PGDATA" || no "Postgres does not start: $(tail -n 1 "$LOG")"
  umask 077
  pg_dumpall --no-password > "$SAVED.part" || no "pg_dumpall failed: see above."
  stop "$PGDATA"
  # initdb will have made the superuser already.
  { sed "/^CREATE ROLE \"*$POSTGRES_USER\"*;\$/d" "$SAVED.part" && echo '-- whole'; } | gzip > "$SAVED"
  rm "$SAVED.part"
  ;;
check) unpack /archive ;;
switch) mv "$STAGED" "$NEXT" ;;
discard) rm -rf "$FORMER" ;;
undo)
  [ -e "$FORMER" ] || no 'there is nothing to go back to: no restore waits for its end.'
  [ "$(cat "$FORMER/PG_VERSION")" = "$version" ] ||
    no "the former data is of Postgres $(cat "$FORMER/PG_VERSION"): set POSTGRES_IMAGE in .env to an image of it first."
  recover "$FORMER" current
  stop "$FORMER"
  mv "$FORMER" "$NEXT"
  ;;
flush)
  [ -n "${WAL_ARCHIVE:-}" ] || exit 0
  segment=$(psql --no-psqlrc --tuples-only --no-align --command 'SELECT pg_walfile_name(pg_switch_wal() - 1)')
  for _ in $(seq 60); do
    [ ! -e "$WAL_ARCHIVE/$(system_id "$PGDATA")/$segment.gz" ] || exit 0
    sleep 0.5
  done
  no 'the archive does not take the newest changes: see docker compose logs postgres. To restore without them, stop Postgres first.'
  ;;
esac
