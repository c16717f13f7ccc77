#!/bin/sh
# Puts a finished segment of WAL into the archive. Postgres calls it (archive_command), and again and again until it succeeds.
# Usage: archive.sh PATH NAME
#        archive.sh --keep BACKUP...     removes from the archive, if there is one, what none of these base backups needs, newest first
set -eu

# compose/backup.yml is not in use.
[ -n "${WAL_ARCHIVE:-}" ] || exit 0
# shellcheck source=postgres/volume.sh
. /usr/local/bin/volume.sh
directory=$(archive_of "$PGDATA")

fail() {
  waiting=$(find "$PGDATA/pg_wal/archive_status" -name '*.ready' | wc -l)
  echo "the archive of WAL fails: $*. $waiting segments wait, $((waiting * 16)) MB on the disk of the data"
  exit 1
}

if [ "$1" = --keep ]; then
  shift
  newest=$1 known='' notes=''
  # Postgres archives a note of each base backup, whose name says where it begins.
  for note in "$directory"/*.backup.gz; do
    [ -e "$note" ] || continue
    label=$(gzip -dc "$note" | sed -n 's/^LABEL: \([^ ]*\).*/\1/p')
    for kept; do [ "$kept" != "$label" ] || known="$known $label" notes="$notes $(basename "$note" .gz)"; done
  done
  case "$known " in *" $newest "*) ;; *) exit 0 ;; esac
  # The lowest, whichever its timeline: pg_archivecleanup, too, looks at what follows the timeline's 8 digits.
  # shellcheck disable=SC2086
  oldest=$(printf '%s\n' $notes | sort -k 1.9 | head -n 1)
  exec pg_archivecleanup --strip-extension .gz "$directory" "$oldest"
fi

mkdir -p "$directory" 2> /dev/null || fail "user $(id -u) of this image cannot write $WAL_ARCHIVE"
to=$directory/$2.gz
if [ -e "$to" ]; then
  # Postgres repeats a call if it crashed before it noted the success: then the files are equal. A different segment of this name must not
  # be lost.
  gzip -dc "$to" | cmp -s - "$1" || fail "$to holds something else: a copy of this database writes the same archive. Give the copy \
another WAL_ARCHIVE_DIR, then: docker compose exec postgres mv $directory $directory.copy && ./stack backup"
  exit 0
fi
# Renamed when it is whole and on the disk.
{ gzip < "$1" > "$to.new" && sync "$to.new" && mv "$to.new" "$to" && sync "$directory"; } 2> /tmp/archive ||
  fail "$(grep -m 1 . /tmp/archive)"
