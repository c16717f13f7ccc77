#!/bin/sh
# Lists the nodes, the services, and the members of Postgres.
# Usage: swarm/status.sh
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh
# shellcheck source=ops/lib.sh
. ops/lib.sh
# shellcheck source=swarm/lib.sh
. swarm/lib.sh

[ $# = 0 ] || die 'swarm status takes no arguments.'
swarm node ls
echo
swarm stack services "$PROJECT"
[ "$SWARM_POSTGRES" = three ] || exit 0
echo
in_postgres patronictl --config-file /tmp/patroni.yml list || die 'Postgres has no primary that a reachable node knows.'
