#!/bin/sh
# Changes the number of replicas of web without an error for visitors, and notes it in .env.
# Usage: ops/scale.sh N          from 1 to 9
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh
# shellcheck source=ops/lib.sh
. ops/lib.sh
# shellcheck source=ops/rolling.sh
. ops/rolling.sh

case "${1:-}" in [1-9]) wanted=$1 ;; *) die "scale takes a number of replicas from 1 to 9, not '${1:-}'." ;; esac
lock 'A change of scale'
undo_unfinished
begin
[ -z "$(outdated web)" ] || die 'what was built last is not what runs: ./stack deploy first.'
count=$(echo "$old" | wc -w)
if [ "$wanted" -gt "$count" ]; then
  create "$wanted" || die "$cause"
  # shellcheck disable=SC2086
  bring $new || die "$cause"
fi
docker rm "$JOURNAL" > /dev/null
set_in_env WEB_REPLICAS "$wanted"
# What watches the replicas has to know how many there are to be (compose/observability.yml), before it misses one.
[ -z "$(running status)" ] || WEB_REPLICAS=$wanted docker compose up --detach --no-build --no-deps status 2> "$TMP/compose"
# The newest leave first, one at a time.
for id in $(running web | tail -n "+$((wanted + 1))"); do retire "$id"; done
say "$wanted replicas of web serve."
