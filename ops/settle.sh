#!/bin/sh
# Before the stack starts: ends if a change is under way, and undoes what a change left that was cut off.
# Usage: ops/settle.sh
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh
# shellcheck source=ops/lib.sh
. ops/lib.sh

[ -z "$(docker ps --quiet --filter "name=^$LOCK\$")" ] || under_way
# A restore that was killed, and that nothing waits for any more.
end_volume_task
# What a deploy left would count as replicas.
! has_journal || ops/rollback.sh
