#!/bin/sh
# Removes the services; the data stays in the nodes' volumes. With --volumes, those and the passwords too.
# Usage: swarm/down.sh [--volumes]
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh
# shellcheck source=ops/lib.sh
. ops/lib.sh
# shellcheck source=swarm/lib.sh
. swarm/lib.sh
# shellcheck source=swarm/objects.sh
. swarm/objects.sh

case "$#${1:-}" in 0 | 1--volumes) ;; *) die "swarm down takes --volumes or nothing: not '$*'." ;; esac
[ $# = 0 ] || [ "$(echo "$REACHED" | wc -w)" = "$(echo "$SWARM_NODES" | wc -w)" ] ||
  die 'the data of a node that does not answer would stay, and fit no later one: take the node out of SWARM_NODES first, if it is gone for good.'
! lock_image > /dev/null || lock 'A removal'
[ $# = 1 ] || [ -z "$(remembered restore)" ] || die "a restore was cut off: call it again, or give --volumes. ./stack swarm restore $(remembered restore)"
swarm stack rm "$PROJECT"
for node in $REACHED; do
  # It still has a volume.
  await_gone "$node" "com.docker.stack.namespace=$PROJECT"
  # Ended tasks, which Swarm removes later, and the volumes that an image declares.
  at "$node" ps --all --quiet --filter "label=com.docker.stack.namespace=$PROJECT" |
    while read -r id; do at "$node" rm --force --volumes "$id" > /dev/null 2>&1 || true; done
  [ $# = 0 ] || at "$node" volume ls --quiet --filter "label=com.docker.stack.namespace=$PROJECT" |
    while read -r volume; do at "$node" volume rm "$volume" > /dev/null; done
done
[ $# = 0 ] || {
  remove_former_secrets
  forget postgres
  forget restore
}
