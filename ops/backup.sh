#!/bin/sh
# Writes a backup of the database, whole or not at all, and removes all but the newest BACKUP_KEEP (7) of its kind.
# Usage: ops/backup.sh [--swarm] [--dump] [DIR]          by default into the project's folder backups
#   --swarm: of the stack on the Swarm
#   a base backup, from which ./stack restore goes on to any moment in the archive (compose/backup.yml)
#   --dump: SQL of the database, which later versions of Postgres read too
set -eu
: "${CALLER:=$PWD}"
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh
# shellcheck source=ops/lib.sh
. ops/lib.sh
if [ "${1:-}" = --swarm ]; then
  shift
  # shellcheck source=swarm/lib.sh
  . swarm/lib.sh
fi
kind=base suffix=tar.gz
[ "${1:-}" != --dump ] || { kind=dump suffix=sql.gz && shift; }
case "$#${1:-}" in 0 | 1[!-]*) ;; *) die "backup takes --dump, then a folder: not '$*'." ;; esac
directory=$PWD/backups keep=${BACKUP_KEEP:-7}
[ $# = 0 ] || directory=$(absolute "$1")
case "$keep" in '' | 0* | *[!0-9]*) die "BACKUP_KEEP is '$keep': give how many backups to keep." ;; esac
mkdir -p "$directory" || die "no backup was written: $directory cannot be made."
# To the second, in UTC: names in the order of time, and none of a backup that is there.
until name=$kind-$(date -u +%Y%m%dT%H%M%SZ) && [ ! -e "$directory/$name.$suffix" ]; do sleep 0.2; done
part=$directory/$name.$$.part
# It holds all of the data.
umask 077
trap 'rm -rf "$part" "$TMP"' EXIT
trap 'exit 130' INT TERM HUP
# A link is followed. Parts are of backups that were killed.
find "$directory/" -maxdepth 1 -name "$kind-*.part" -mtime +0 -exec rm {} +

find_postgres || die 'no backup was written: Postgres does not run.'
in_postgres() { engine exec -i "$PG_CONTAINER" "$@"; }

if [ $kind = base ]; then
  in_postgres backup.sh base "$name" > "$part" || die 'no backup was written: see above.'
  # What is on the disk, against the sums that Postgres made while it read. /archive is an empty volume here.
  image=$(engine inspect --format '{{.Image}}' "$PG_CONTAINER")
  engine run --rm --interactive --network none --read-only --cap-drop ALL --tmpfs /tmp:mode=1777 --volume /archive \
    --entrypoint restore.sh "$image" check < "$part" ||
    die 'no backup was written: what arrived is not what Postgres sent.'
else
  in_postgres backup.sh dump | gzip > "$part"
  [ "$(gzip -dc "$part" | tail -n 1)" = '-- whole' ] || die 'no backup was written: see above.'
fi
sync "$part"
mv "$part" "$directory/$name.$suffix"

backups "$directory" $kind | tail -n "+$((keep + 1))" | while read -r former; do rm "$former"; done
if [ $kind = base ]; then
  # Names without spaces.
  # shellcheck disable=SC2046
  in_postgres archive.sh --keep $(backups "$directory" base | sed "s,.*/,,; s,\.$suffix\$,,") ||
    die "the backup was written, but old WAL could not be removed from the archive: see above."
fi
echo "$directory/$name.$suffix ($(du -h "$directory/$name.$suffix" | cut -f 1))"
