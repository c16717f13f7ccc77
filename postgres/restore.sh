#!/bin/sh
# What ./stack restore and ./stack upgrade do inside Postgres's image, on the volume of the data:
#   18/docker  the data in use
#   staged     data that is being prepared; worth nothing if that is cut off
#   next       prepared data: entrypoint.sh puts it in place of the data in use
#   former     the data that it replaced, until ./stack restore --confirm
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

VOLUME=/var/lib/postgresql
SAVED=$VOLUME/saved.sql.gz STAGED=$VOLUME/staged NEXT=$VOLUME/next FORMER=$VOLUME/former
LIMIT=${RESTORE_TIMEOUT:-3600} # seconds for a recovery
LOG=/tmp/restore.log
# What roles.sql and after-restore.sql read by current_setting().
export PGOPTIONS="-c stack.role=${APPLICATION_ROLE:-} -c stack.owner=${POSTGRES_USER:-}"
export PGHOST=/tmp

no() {
  printf '%s\n' "$*" >&2
  exit 1
}

# The cluster's own number, by which the archive tells one from another.
system_id() { pg_controldata "$1" | sed -n 's/^Database system identifier: *//p'; }

# Starts a server that only this script reaches, and waits until it is done with recovery. Usage: start DIRECTORY "option..."
start() {
  printf 'local all all trust\n' > /tmp/hba.conf
  pg_ctl --pgdata "$1" --log "$LOG" --wait --timeout "$LIMIT" --silent start \
    --options "-c listen_addresses= -c unix_socket_directories=/tmp -c hba_file=/tmp/hba.conf ${2:-}" > /tmp/pg_ctl 2>&1 || return 1
  # pg_ctl takes a server that recovers for one that is ready.
  _tries=$LIMIT
  until run_sql --dbname postgres --command ''; do
    [ -e "$1/postmaster.pid" ] && [ $((_tries -= 1)) -gt 0 ] || return 1
    sleep 1
  done
}
stop() { pg_ctl --pgdata "$1" --wait --timeout 300 --mode fast --silent stop; }
run_sql() { psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 "$@" > /dev/null 2> /tmp/psql; }

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

# What failed leaves nothing behind.
clean_up() {
  status=$?
  [ $status = 0 ] || {
    pg_ctl --pgdata "$STAGED" --silent --mode immediate stop 2> /dev/null || true
    rm -rf "$STAGED" "$SAVED"
  }
  exit $status
}
stage() {
  [ ! -e "$FORMER" ] || no 'an earlier restore still waits for its end: ./stack restore --confirm, or --undo.'
  rm -rf "$STAGED"
  trap clean_up EXIT
  trap 'exit 130' INT TERM HUP
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

# An empty cluster, as the image's own entrypoint makes it.
stage_cluster() {
  stage
  # The arguments are words.
  # shellcheck disable=SC2086
  initdb --pgdata "$STAGED" --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS > "$LOG" 2>&1 ||
    no "initdb failed: $(tail -n 1 "$LOG")"
  printf '\nhost all all all scram-sha-256\n' >> "$STAGED/pg_hba.conf"
  printf "\nlisten_addresses = '*'\n" >> "$STAGED/postgresql.conf"
  gzip -dc > "$STAGED/dump.sql" 2> /tmp/gzip || no "it is not whole: $(grep -m 1 . /tmp/gzip)"
  [ "$(tail -n 1 "$STAGED/dump.sql")" = '-- whole' ] || no 'it is not whole, or no dump of ./stack backup --dump.'
  start "$STAGED" || no "Postgres does not start: $(tail -n 1 "$LOG")"
}
# Usage: load DATABASE [psql option...]
load() {
  run_sql --dbname "$@" --file "$STAGED/dump.sql" || no "Postgres $version cannot read it: $(grep -m 1 'ERROR' /tmp/psql)"
  rm "$STAGED/dump.sql"
}

version=$(postgres --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
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
  # initdb has made the superuser already.
  { pg_dumpall --no-password | sed "/^CREATE ROLE \"*$POSTGRES_USER\"*;\$/d" && echo '-- whole'; } | (umask 077 && gzip > "$SAVED")
  stop "$PGDATA"
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
