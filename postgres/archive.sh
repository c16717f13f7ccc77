#!/bin/sh
# Puts a finished segment of WAL into the archive. Postgres calls it (archive_command), and again and again until it succeeds.
# Usage: archive.sh PATH NAME
set -eu

# Of this cluster alone: a new one begins to count its segments again.
directory=$WAL_ARCHIVE/$(pg_controldata "$PGDATA" | sed -n 's/^Database system identifier: *//p')
fail() {
  waiting=$(find "$PGDATA/pg_wal/archive_status" -name '*.ready' | wc -l)
  echo "the archive of WAL fails: $*. $waiting segments wait, $((waiting * 16)) MB on the disk of the data"
  exit 1
}

mkdir -p "$directory" || fail "user $(id -u) of this image cannot write $WAL_ARCHIVE"
if [ -e "$directory/$2.gz" ]; then
  # A repetition, after a crash between the two. Another segment of this name must not be lost.
  gzip -dc "$directory/$2.gz" | cmp -s - "$1" || fail "$directory/$2.gz holds something else"
  exit 0
fi
# Renamed when it is whole and on the disk.
gzip < "$1" > "$directory/$2.new" && sync "$directory/$2.new" && mv "$directory/$2.new" "$directory/$2.gz" && sync "$directory" ||
  fail "$directory cannot be written"
