#!/bin/sh
# Puts a backup in place of the data on the Swarm. First it writes a backup of what is there: to go back, restore that.
# Usage: swarm/restore.sh FILE          of ./stack swarm backup: base-*.tar.gz
set -eu
: "${CALLER:=$PWD}"
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh
# shellcheck source=ops/lib.sh
. ops/lib.sh
# shellcheck source=swarm/lib.sh
. swarm/lib.sh
# shellcheck source=swarm/rollout.sh
. swarm/rollout.sh
# shellcheck source=swarm/stores.sh
. swarm/stores.sh

[ $# = 1 ] || die "swarm restore takes a backup, a file: not '$*'."
file=$(absolute "$1")
case "$file" in *.tar.gz) ;; *) die "$file is no base backup: give a file of ./stack swarm backup, base-*.tar.gz." ;; esac
[ -f "$file" ] || die "there is no $file."
case "$SWARM_POSTGRES" in
three) members='postgres-1 postgres-2 postgres-3' ;;
single) members=postgres ;;
*) die 'Postgres is elsewhere: restore it there.' ;;
esac
first=${members%% *}

# The node of a member. Usage: node_of MEMBER
node_of() {
  for _node in $REACHED; do
    [ -z "$(container "$_node" "$1")" ] || { echo "$_node" && return; }
  done
  die "$1 does not run on a node that answers: nothing was restored."
}
nodes=''
for member in $members; do
  node=$(node_of "$member")
  nodes="$nodes $node"
done
home=$(node_of "$first")
image=$(at "$home" inspect --format '{{.Config.Image}}' "$(container "$home" "$first")")
# A command on the volume of the data. Usage: in_volume NODE COMMAND
in_volume() {
  at "$1" run --rm --network none --read-only --cap-drop ALL --volume "${PROJECT}_data:/var/lib/postgresql" --entrypoint sh "$image" -euc "$2"
}
# Usage: scale REPLICAS MEMBER...
scale() {
  _replicas=$1
  shift
  for _member; do swarm service scale --detach "${PROJECT}_$_member=$_replicas" > /dev/null; done
}

step 'Writing a backup of what is there'
if find_postgres; then
  # It must not remove an old one, which may be the one to restore.
  BACKUP_KEEP=999999 ops/backup.sh --swarm || die 'nothing was restored: what is there could not be backed up, see above.'
else
  say 'Postgres has no primary: there is nothing to back up.'
fi
step 'Reading the backup'
# Beside the server that runs, whose port is another one.
at "$home" exec -i --env PGPORT=5433 "$(container "$home" "$first")" restore.sh base any < "$file" || die 'nothing was restored, see above.'

step 'Replacing the data'
# Each word is a service.
# shellcheck disable=SC2086
scale 0 $members
for node in $nodes; do
  for member in $members; do
    await_gone "$node" "com.docker.swarm.service.name=${PROJECT}_$member"
  done
done
for node in $nodes; do
  if [ "$node" = "$home" ]; then
    # PGDATA is the container's own.
    # shellcheck disable=SC2016
    in_volume "$node" 'rm -rf "$PGDATA"; mv /var/lib/postgresql/staged "$PGDATA"; sync'
  else
    # shellcheck disable=SC2016
    in_volume "$node" 'rm -rf "$PGDATA"'
  fi
done
if [ "$SWARM_POSTGRES" = three ]; then
  # What the cluster knows of the former data. Its own settings, the key `config`, stay.
  etcd=$(container "$home" etcd-1)
  for key in initialize leader sync status history failover failsafe 'members/ --prefix'; do
    # Two words.
    # shellcheck disable=SC2086
    at "$home" exec --env ETCDCTL_ENDPOINTS=http://127.0.0.1:2379 "$etcd" etcdctl del /service/stack/$key > /dev/null
  done
fi
step 'Starting Postgres'
scale 1 "$first"
_ends=$(($(date +%s) + LIMIT_S))
until find_postgres; do
  [ "$(date +%s)" -lt "$_ends" ] || die "Postgres does not start: $(errors "$first"). The backup of what was there is the way back."
  sleep 0.5
done
if [ "$SWARM_POSTGRES" = three ]; then
  scale 1 postgres-2 postgres-3
  await_cluster
  in_postgres prepare.sh
fi
say "$file was restored. It may be older than the last migration: ./stack swarm deploy applies those."
