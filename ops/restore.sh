#!/bin/sh
# Puts a backup in place of the data. The former data stays in the volume until --confirm.
# Usage: ops/restore.sh FILE|DIR [--at TIME]   DIR: its newest backup, from before TIME
#          TIME: in UTC, as in 2026-11-26T15:00:00Z; by default as far as the archive goes (compose/backup.yml), or the backup
#        ops/restore.sh --undo                 puts the former data back
#        ops/restore.sh --confirm              removes it
#        RESTORE_TIMEOUT: for how long a recovery may last (seconds, 3600 by default)
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh
# shellcheck source=ops/lib.sh
. ops/lib.sh

USAGE='restore takes a backup or a folder of backups, and --at TIME, as in 2026-11-26T15:00:00Z; or --undo or --confirm.'

# restore.sh of Postgres's image, on the volume, beside the server or without one.
in_volume() {
  docker compose run --rm --no-deps --no-TTY --env "RESTORE_TIMEOUT=${RESTORE_TIMEOUT:-3600}" --entrypoint restore.sh postgres "$@"
}

# Starts Postgres on what is next, and waits until replicas can count on it.
start() {
  docker compose up --detach --wait --wait-timeout 120 --no-build --no-deps postgres || return 1
  # The backup may be older than the last migration.
  docker compose run --rm --no-deps --no-TTY migrate || return 1
  for id in $(running web); do await_ready "$id" || return 1; done
}

# The backups of a folder that may lead to a moment, newest first: the times are in their names. Usage: candidates DIR [TIME]
candidates() {
  _before=$(printf '%s' "${2:-9999}" | sed 's/\..*//' | tr -d ':-')Z
  find "$1" -maxdepth 1 \( -name 'base-????????T??????Z.tar.gz' -o -name 'dump-????????T??????Z.sql.gz' \) | sed 's,.*/\([a-z]*-\(.*Z\)\..*\),\2 \1,' | sort -r |
    while read -r _time _file; do
      case "$_file" in dump-*) [ -z "${2:-}" ] || continue ;; esac
      [ "$(printf '%s\n' "$_time" "$_before" | sort | tail -n 1)" != "$_before" ] || echo "$1/$_file"
    done
}

# Usage: stage FILE [TIME]
stage() {
  case "$1" in
  *.sql.gz)
    [ -z "${2:-}" ] || die "$1 is a dump, which holds one moment alone: leave out --at."
    in_volume dump < "$1"
    ;;
  *) in_volume base ${2:+"$2"} < "$1" ;;
  esac
}

case "${1:-}" in
'') die "$USAGE" ;;
--confirm)
  docker compose exec -T postgres restore.sh discard
  exit
  ;;
--undo) from='' ;;
*) from=$1 ;;
esac
[ -z "$from" ] || [ -e "$from" ] || die "there is no $from. $USAGE"
at=''
case "$#${2:-}" in
1) ;;
3--at)
  at=$(printf '%s' "$3" | sed -n 's/^\([0-9]\{4\}-[0-9][0-9]-[0-9][0-9]\)[T ]\([0-9][0-9]:[0-9][0-9]:[0-9][0-9]\(\.[0-9]*\)\{0,1\}\)Z\{0,1\}$/\1T\2/p')
  [ -n "$at" ] || die "'$3' is no time in UTC. $USAGE"
  ;;
*) die "$USAGE" ;;
esac

lock 'A restore'
trap 'unlock; rm -rf "$TMP"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
host/build.sh postgres migrate > "$TMP/build" 2>&1 || die "the build failed: $(tail -n 3 "$TMP/build")"

if [ -n "$from" ]; then
  # The newest changes are in the archive once this one is.
  [ -z "$(running postgres)" ] || docker compose exec -T postgres restore.sh flush || die 'nothing was restored.'
  files=$from
  [ ! -d "$from" ] || files=$(candidates "$from" "$at")
  [ -n "$files" ] || die "no backup in $from is from before ${at:-now}: nothing was restored."
  staged=''
  for file in $files; do
    status=0
    stage "$file" "$at" || status=$?
    case $status in
    0) staged=$file && break ;;
    # It ended after that moment: the one before it did not.
    3) ;;
    *) die "nothing was restored from $file: see above." ;;
    esac
  done
  [ -n "$staged" ] || die "$at is before the end of $file, the first backup: nothing was restored."
  docker compose stop postgres
  in_volume switch
else
  docker compose stop postgres
  in_volume undo || {
    start || true
    die 'nothing was changed.'
  }
fi
if ! start; then
  docker compose logs --no-log-prefix --tail 5 postgres >&2
  [ -n "$from" ] || die "Postgres does not start on the former data: see above.${cause:+ $cause}"
  say 'The restored data is of no use: see above. Going back to the former.'
  docker compose stop postgres
  in_volume undo
  start || die 'Postgres does not start on the former data either.'
  in_volume discard
  die 'nothing was restored.'
fi
say "${staged:+$staged was restored. }What it replaced is kept: ./stack restore --undo puts it back, --confirm removes it."
