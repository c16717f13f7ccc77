#!/bin/sh
# A copy of the database that was tried, written whole or not at all; older ones beyond BACKUP_KEEP (7) are removed.
# Usage: ops/backup.sh [--dump] [DIR]          into ./backups by default
#   a base backup, from which ./stack restore goes on to any moment that the archive has (compose/backup.yml);
#   --dump: SQL, which any later version of Postgres reads
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh

kind=base suffix=tar.gz
[ "${1:-}" != --dump ] || { kind=dump suffix=sql.gz && shift; }
directory=${1:-backups} keep=${BACKUP_KEEP:-7}
case "$keep" in '' | 0 | *[!0-9]*) die "BACKUP_KEEP is '$keep': give how many backups to keep." ;; esac
mkdir -p "$directory"
file=$directory/$kind-$(date -u +%Y%m%dT%H%M%SZ).$suffix
# Whoever reads it reads all data.
umask 077
trap 'rm -f "$file.part"' EXIT
trap 'exit 130' INT TERM HUP

in_postgres() { docker compose exec -T postgres "$@"; }

if [ $kind = base ]; then
  # A role that can copy the cluster and nothing else (postgres/roles.sql).
  in_postgres pg_basebackup --username stack_backup --no-password --pgdata - --format tar --wal-method fetch --checkpoint fast --gzip \
    > "$file.part" || die 'the backup failed, see above: nothing was kept.'
  ops/verify.sh < "$file.part" || die 'the backup is not whole, see above: nothing was kept.'
else
  in_postgres sh -c 'pg_dump --username stack_backup --no-password --clean --if-exists && echo "-- whole"' | gzip > "$file.part"
  [ "$(gzip -dc "$file.part" | tail -n 1)" = '-- whole' ] || die 'the dump failed, see above: nothing was kept.'
fi
mv "$file.part" "$file"
# By their names, which begin with the time.
find "$directory" -maxdepth 1 -name "$kind-*.$suffix" | sort -r | tail -n "+$((keep + 1))" | while read -r former; do rm "$former"; done
say "$file ($(du -h "$file" | cut -f 1))"
