#!/bin/sh
# What ./stack restore and ./stack upgrade do inside Postgres's image, on the volume of the data (volume.sh).
# Usage: restore.sh base any|newest [TIME] < FILE.tar.gz
#                                                stages a base backup, and the archive of WAL up to TIME (UTC) or to its end;
#                                                newest: only if the newest timeline goes on from it
#        restore.sh dump < FILE.sql.gz           stages a dump of the database
#        restore.sh save                         writes all databases and roles of the data in use into the volume, without a server
#        restore.sh cluster                      stages what was saved
#        restore.sh check < FILE.tar.gz          unpacks a base backup into /archive, and compares it with its manifest
#        restore.sh undo                         recovers the former data, so that `switch` can put it back
#        restore.sh switch staged|former         Postgres starts on this data next; it has to be stopped
#        restore.sh discard                      removes former data
#        restore.sh flush                        sends the newest WAL to the archive; beside the server
# Status: 3 if an older backup may do: TIME is before the end of this one, or it is of a past that was left behind; 1 for any other
# fault, with its cause
set -eu
# shellcheck source=postgres/volume.sh
. /usr/local/bin/volume.sh
# shellcheck source=postgres/staging.sh
. /usr/local/bin/staging.sh
# shellcheck source=postgres/timeline.sh
. /usr/local/bin/timeline.sh

# Applies WAL, from the archive if there is one, and begins a new timeline: what is written from here on has other names in the archive
# than what was written before. The archive gets to know the timeline from the server that takes over.
# Usage: recover DIRECTORY TIMELINE [TIME]
recover() {
  touch "$1/recovery.signal"
  fetch=false mode=off
  _from=$(archive_of "$1")
  [ -z "${WAL_ARCHIVE:-}" ] || fetch="test -e $_from/%f.gz && gzip -dc $_from/%f.gz > %p" mode=on
  # A target may be left in the data's own settings.
  start "$1" "-c hot_standby=off -c archive_mode=$mode -c archive_command= -c 'restore_command=$fetch' \
    -c recovery_target= -c recovery_target_lsn= -c recovery_target_name= -c recovery_target_xid= -c recovery_target_time=${3:+$3+00} \
    -c recovery_target_timeline=$2 -c recovery_target_action=promote" && return 0
  ! grep -q 'before consistent recovery point' "$LOG" || exit 3
  last=$(last_change)
  ! grep -q 'before configured recovery target was reached' "$LOG" ||
    refuse "the last change ${WAL_ARCHIVE:+in the archive }is of ${last:-the time of the backup}, or the archive lacks a segment after it. Give an \
earlier moment, or restore without --at."
  refuse "Postgres cannot recover it: $(cause)"
}

# When the last change was that a recovery applied, to the second: what --at takes.
last_change() { sed -n 's/.*last completed transaction was at log time \([^ ]*\) \([0-9:]*\).*/\1T\2Z/p' "$LOG" | tail -n 1; }

# Staged data becomes this stack's: its names, a new epoch, other passwords at the next start (roles.sql).
finish() {
  run_sql --command "SELECT '\"$APPLICATION_ROLE\"'::regrole FROM public.schema_migrations" ||
    refuse "it is of another application: $(head -n 1 /tmp/psql)"
  run_sql --single-transaction --file /after-restore.sql || refuse "after-restore.sql fails: $(head -n 1 /tmp/psql)"
  stop "$STAGED"
  sync
}

# Unpacks a base backup, and compares it with its manifest. Usage: unpack DIRECTORY
unpack() {
  gzip -dc 2> /tmp/gzip | tar -xf - -C "$1" 2> /tmp/tar || refuse "it is not whole: $(cat /tmp/gzip /tmp/tar | grep -m 1 .)"
  [ -s "$1/PG_VERSION" ] || refuse 'it is no base backup of ./stack backup.'
  [ "$(cat "$1/PG_VERSION")" = "$version" ] || refuse "it is of Postgres $(cat "$1/PG_VERSION"), and this is $version."
  pg_verifybackup --quiet "$1" > /tmp/verify 2>&1 || refuse "it is not whole: $(head -n 1 /tmp/verify)"
}

# Usage: stage_base any|newest [TIME]
stage_base() {
  stage
  mkdir -m 0700 "$STAGED"
  unpack "$STAGED"
  archive=$(archive_of "$STAGED")
  grep -q '^LABEL: .* with an archive$' "$STAGED/backup_label" && [ -z "${WAL_ARCHIVE:-}" ] &&
    refuse "it was made beside an archive, and this stack has none: set COMPOSE_FILE, and WAL_ARCHIVE_DIR if it was set, in .env as they were \
then. The archive may be empty."
  timeline=$(timeline_of "$archive" "$STAGED")
  [ "$1" = any ] || [ "$timeline" -ge "$(newest "$archive")" ] || exit 3
  if [ -n "${2:-}" ]; then
    left=$(left_behind "$archive" "$timeline" "$2")
    [ -z "$left" ] || refuse "what was written at $2 was given up by the restore of ${left}Z."
  fi
  recover "$STAGED" "$timeline" "${2:-}"
  last=$(last_change)
  [ -z "$last" ] || echo "The last change is of $last" >&2
  if [ -z "${2:-}" ]; then
    hole=$(hole "$archive" "$timeline" "$(sed -n 's/.*redo done at \([^ ]*\).*/\1/p' "$LOG" | tail -n 1)")
    [ -z "$hole" ] ||
      refuse "$archive has a hole: after ${hole} something is missing, and so is all that is later. To restore what is before, give --at with \
the time of the last change."
  fi
  finish
}

case "$1" in
base) stage_base "$2" "${3:-}" ;;
dump)
  stage_cluster
  createdb --maintenance-db postgres "$POSTGRES_DB"
  run_sql --file /docker-entrypoint-initdb.d/roles.sql || refuse "$(cat /tmp/psql)"
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
  start "$PGDATA" || refuse "Postgres does not start: $(cause)"
  umask 077
  pg_dumpall --no-password > "$SAVED.part" || refuse "pg_dumpall failed: see above."
  stop "$PGDATA"
  # initdb will have made the superuser already.
  { sed "/^CREATE ROLE \"*$POSTGRES_USER\"*;\$/d" "$SAVED.part" && echo '-- whole'; } | gzip > "$SAVED"
  rm "$SAVED.part"
  ;;
check) unpack /archive ;;
undo)
  [ -e "$FORMER" ] || refuse 'there is nothing to go back to: no restore waits for its end.'
  [ "$(cat "$FORMER/PG_VERSION")" = "$version" ] ||
    refuse "the former data is of Postgres $(cat "$FORMER/PG_VERSION"): set POSTGRES_IMAGE in .env to an image of it first."
  recover "$FORMER" current
  stop "$FORMER"
  rm -rf "$STAGED"
  ;;
switch)
  [ ! -e "$NEXT" ] || refuse "$NEXT is there already."
  mv "$VOLUME/$2" "$NEXT"
  ;;
discard)
  # In one step: half of it could not be put back.
  rm -rf "$STAGED"
  [ ! -e "$FORMER" ] || mv "$FORMER" "$STAGED"
  rm -rf "$STAGED"
  ;;
flush)
  [ -n "${WAL_ARCHIVE:-}" ] || exit 0
  segment=$(psql --no-psqlrc --tuples-only --no-align --command 'SELECT pg_walfile_name(pg_switch_wal() - 1)')
  for _ in $(seq 60); do
    [ ! -e "$(archive_of "$PGDATA")/$segment.gz" ] || exit 0
    sleep 0.5
  done
  refuse 'the archive does not take the newest changes: see docker compose logs postgres. To restore without them, stop Postgres first.'
  ;;
esac
