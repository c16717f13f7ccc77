#!/bin/sh
# Back to the replicas from before the last deploy: those that an unfinished deploy has stopped, or new ones of the image before.
# Usage: ops/rollback.sh
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh
# shellcheck source=ops/lib.sh
. ops/lib.sh
# shellcheck source=ops/rolling.sh
. ops/rolling.sh

if has_journal; then
  lock 'A rollback'
  undo_unfinished
  exit 0
fi
rm -rf "$TMP"
exec ops/deploy.sh --previous
