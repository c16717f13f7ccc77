#!/bin/sh
# Puts a backup in place of the data. The former data stays in the volume until --confirm.
# Usage: ops/restore.sh FILE|DIR [--at TIME]   DIR: its newest base backup, from before TIME; without any, its newest dump
#          TIME: in UTC, as in 2026-11-26T15:00:00Z; by default as far as the archive goes (compose/backup.yml), or the backup
#        ops/restore.sh --undo                 puts the former data back
#        ops/restore.sh --confirm              removes it
#        RESTORE_TIMEOUT: for how long a recovery may last (seconds, 3600 by default)
set -eu
: "${CALLER:=$PWD}"
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh
# shellcheck source=ops/lib.sh
. ops/lib.sh

USAGE='restore takes a backup or a folder of backups, and --at TIME in UTC, as in 2026-11-26T15:00:00Z; or --undo or --confirm alone.'

# Starts Postgres on what is next, and waits until replicas can count on it.
start() {
  docker compose up --detach --wait --wait-timeout 120 --no-build --no-deps postgres || return 1
  stopped=''
  # The backup may be older than the last migration.
  docker compose run --rm --no-deps --no-TTY migrate || return 1
  for id in $(running web); do await_ready "$id" || return 1; done
}
stop() {
  stopped=yes
  docker compose stop postgres
}

# Postgres does not stay stopped.
clean_up() {
  end_volume_task
  [ -z "$stopped" ] || docker compose up --detach --no-build --no-deps postgres || true
}

# The backups of a folder that may lead to a moment, newest first. One of the same second may have begun after it.
# Usage: candidates DIR [TIME]
candidates() {
  _before=$(printf '%s' "${2:-9999}" | sed 's/\..*//' | tr -d ':-')Z _kind=base
  [ -n "$(backups "$1" base)" ] || _kind=dump
  backups "$1" $_kind | while read -r _file; do
    _time=${_file##*/????-}
    [ "$(printf '%s\n' "${_time%%.*}" "$_before" | sort | head -n 1)" = "$_before" ] || echo "$_file"
  done
}

# Usage: stage FILE any|newest [TIME]
stage() {
  case "$1" in
  *.tar.gz) in_volume restore.sh base "$2" ${3:+"$3"} < "$1" ;;
  *.sql.gz)
    [ -z "${3:-}" ] || die "$1 is a dump, which holds one moment alone: leave out --at."
    in_volume restore.sh dump < "$1"
    ;;
  *) die "$1 is no backup: give a file of ./stack backup, base-*.tar.gz or dump-*.sql.gz." ;;
  esac
}

from='' at=''
case "$#${1:-}" in
1--confirm | 1--undo) ;;
[13][!-]*) from=$(absolute "$1") ;;
*) die "$USAGE" ;;
esac
if [ $# = 3 ]; then
  at=$(printf '%s' "$2 $3" | sed -n 's/^--at \([0-9]\{4\}-[0-9][0-9]-[0-9][0-9]\)[T ]\([0-9][0-9]:[0-9][0-9]:[0-9][0-9]\(\.[0-9]*\)\{0,1\}\)Z\{0,1\}$/\1T\2/p')
  [ -n "$at" ] || die "'$3' is no time in UTC. $USAGE"
fi
[ -z "$from" ] || [ -e "$from" ] || die "there is no $from. $USAGE"
case "$RESTORE_TIMEOUT" in '' | 0* | *[!0-9]*) die "RESTORE_TIMEOUT is '$RESTORE_TIMEOUT': give a number of seconds." ;; esac

stopped=''
lock 'A restore'
host/build.sh postgres migrate > "$TMP/build" 2>&1 || die "the build failed: $(tail -n 3 "$TMP/build")"
if in_volume test -e /var/lib/postgresql/next; then
  step 'An earlier restore was cut off. Finishing it'
  stop
  start || die "Postgres does not start: see its log.${cause:+ $cause}"
fi
if [ "$1" = --confirm ]; then
  in_volume restore.sh discard
  say 'The data that was replaced is removed.'
  exit
fi

if [ -n "$from" ]; then
  # The newest changes are in the archive once this one is.
  [ -z "$(running postgres)" ] || docker compose exec -T postgres restore.sh flush || die 'nothing was restored.'
  files=$from lines=any
  [ ! -d "$from" ] || { files=$(candidates "$from" "$at") && lines=newest; }
  [ -n "$files" ] || die "no backup in $from is from before ${at:-now}: nothing was restored."
  staged=''
  # Names with spaces and stars.
  set -f
  IFS='
'
  for file in $files; do
    unset IFS
    status=0
    stage "$file" $lines "$at" || status=$?
    case $status in
    0) staged=$file && break ;;
    3) ;;
    *) die "nothing was restored from $file: see above." ;;
    esac
  done
  unset IFS
  set +f
  [ -n "$staged" ] || die "nothing was restored: $file, the last that was tried, ends after ${at:-} or is of a past that a restore gave up."
  next=staged result="$staged was restored."
else
  in_volume restore.sh undo || die 'nothing was changed.'
  next=former result='The former data serves again.'
fi
stop
in_volume restore.sh switch $next
if ! start; then
  docker compose logs --no-log-prefix --tail 5 postgres >&2
  [ -n "$from" ] || die "Postgres does not start on the former data: see above.${cause:+ $cause}"
  say 'The restored data is of no use: see above. Going back to the former.'
  stop
  in_volume restore.sh undo
  in_volume restore.sh switch former
  start || die 'Postgres does not start on the former data either.'
  in_volume restore.sh discard
  die 'nothing was restored.'
fi
say "$result What it replaced is kept: ./stack restore --undo puts that back, --confirm removes it."
