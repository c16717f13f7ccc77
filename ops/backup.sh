#!/bin/sh
# Writes a backup of the database, whole or not at all, and removes all but the newest BACKUP_KEEP (7) of its kind.
# Usage: ops/backup.sh [--dump] [DIR]          into ./backups by default
#   a base backup, from which ./stack restore goes on to any moment in the archive (compose/backup.yml)
#   --dump: SQL of the database, which later versions of Postgres read too
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh

kind=base suffix=tar.gz
[ "${1:-}" != --dump ] || { kind=dump suffix=sql.gz && shift; }
directory=${1:-backups} keep=${BACKUP_KEEP:-7}
case "$keep" in '' | 0* | *[!0-9]*) die "BACKUP_KEEP is '$keep': give how many backups to keep." ;; esac
mkdir -p "$directory" || die "no backup was written: $directory cannot be made."
# To the second, in UTC: names in the order of time.
name=$kind-$(date -u +%Y%m%dT%H%M%SZ)
file=$directory/$name.$suffix
# It holds all of the data.
umask 077
trap 'rm -f "$file.part"' EXIT
trap 'exit 130' INT TERM HUP

in_postgres() { docker compose exec -T postgres "$@"; }
# A role that copies and reads, and cannot change anything: postgres/roles.sql
as_backup='--username stack_backup --no-password'
postgres=$(docker compose ps --quiet postgres)
[ -n "$postgres" ] || die 'no backup was written: Postgres does not run.'

# The words are options.
# shellcheck disable=SC2086
if [ $kind = base ]; then
  # With the WAL that was written meanwhile, so that it is of use without the archive.
  in_postgres pg_basebackup $as_backup --label "$name" --pgdata - --format tar --wal-method fetch --checkpoint fast --gzip \
    > "$file.part" || die 'no backup was written: see above.'
  # What is on the disk, against the sums that Postgres made while it read. /archive is an empty volume here.
  docker run --rm --interactive --network none --read-only --cap-drop ALL --tmpfs /tmp:mode=1777 --volume /archive \
    --entrypoint restore.sh "$(docker inspect --format '{{.Image}}' "$postgres")" check < "$file.part" ||
    die 'no backup was written: what arrived is not what Postgres sent.'
else
  in_postgres sh -c "pg_dump $as_backup && echo '-- whole'" | gzip > "$file.part" || die 'no backup was written: see above.'
  [ "$(gzip -dc "$file.part" | tail -n 1)" = '-- whole' ] || die 'no backup was written: see above.'
fi
sync "$file.part"
mv "$file.part" "$file"

backups() { find "$directory" -maxdepth 1 -name "$kind-????????T??????Z.$suffix" | sort -r; }
backups | tail -n "+$((keep + 1))" | while read -r former; do rm "$former"; done
if [ $kind = base ]; then
  # Names without spaces.
  # shellcheck disable=SC2046
  in_postgres archive.sh --keep $(backups | sed "s,.*/,,; s,\.$suffix\$,,") ||
    die "the backup was written, but old WAL could not be removed from the archive."
fi
say "$file ($(du -h "$file" | cut -f 1))"
