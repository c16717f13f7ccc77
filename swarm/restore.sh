#!/bin/sh
# Puts a backup in place of the data on the Swarm. First it writes a backup of what is there: to go back, restore that. One that was cut
# off is called again.
# Usage: swarm/restore.sh FILE          of ./stack swarm backup or ./stack backup: base-*.tar.gz or dump-*.sql.gz
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
case "$file" in
*.tar.gz) stage='base any' ;;
*.sql.gz) stage=dump ;;
*) die "$file is no backup: give a file of ./stack swarm backup, base-*.tar.gz or dump-*.sql.gz." ;;
esac
[ -f "$file" ] || die "there is no $file."
case "$SWARM_POSTGRES" in
three) parts='1 2 3' first=postgres-1 members='postgres-1 postgres-2 postgres-3' ;;
single) parts=1 first=postgres members=postgres ;;
*) die 'Postgres is elsewhere: restore it there.' ;;
esac
image=$(swarm service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' "${PROJECT}_$first") ||
  die 'nothing was restored: the stack is not deployed as SWARM_POSTGRES says. ./stack swarm deploy starts it.'
nodes=''
for part in $parts; do
  node=$(store_node "$part")
  [ -n "$node" ] || die "nothing was restored: the node with part $part of the data does not answer."
  nodes="$nodes $node"
done
home=$(echo "$nodes" | awk '{ print $1 }')
initdb_args=$(docker compose config | sed -n 's/^ *POSTGRES_INITDB_ARGS: //p')
lock 'A restore'

# A command of Postgres's image on the volume of the data, beside a server or without one. The passwords are of no use: those of the
# Swarm take their place when Postgres starts. Usage: in_volume NODE COMMAND
in_volume() {
  # The variables are the container's own.
  # shellcheck disable=SC2016
  at "$1" run --rm --interactive --network none --read-only --cap-drop ALL --volume "${PROJECT}_data:/var/lib/postgresql" \
    --tmpfs /tmp:mode=1777 --tmpfs /run/secrets:mode=1777 --shm-size 128m \
    --env "POSTGRES_USER=${owner:?}" --env "PGUSER=$owner" --env "POSTGRES_DB=${database:?}" --env "PGDATABASE=$database" \
    --env "APPLICATION_ROLE=${role:?}" --env RESTORE_TIMEOUT --env POSTGRES_PASSWORD_FILE=/run/secrets/postgres/password \
    --env "POSTGRES_INITDB_ARGS=$initdb_args" \
    --entrypoint sh "$image" -euc 'umask 077; mkdir /run/secrets/postgres /run/secrets/web
      for file in /run/secrets/postgres/password /run/secrets/web/password /tmp/backup-password; do
        head -c 24 /dev/urandom | base64 > $file
      done
      '"$2"
}
# Usage: scale REPLICAS MEMBER...
scale() {
  _replicas=$1
  shift
  for _member; do swarm service scale --detach "${PROJECT}_$_member=$_replicas" > /dev/null; done
}

step 'Writing a backup of what is there'
if [ -n "$(remembered restore)" ]; then
  say 'A restore was cut off. The backup that it wrote is the way back.'
elif find_postgres; then
  # It must not remove an old one, which may be the one to restore.
  BACKUP_KEEP=999999 ops/backup.sh --swarm || die 'nothing was restored: what is there could not be backed up, see above.'
else
  say 'Postgres has no primary: there is nothing to back up.'
fi
step 'Reading the backup'
in_volume "$home" "exec restore.sh $stage" < "$file" || die 'nothing was restored, see above.'

step 'Replacing the data'
# From here on there may be no data to go on with.
forget restore
remember restore "$file"
# Each word is a service.
# shellcheck disable=SC2086
scale 0 $members
for node in $nodes; do
  for member in $members; do
    await_gone "$node" "com.docker.swarm.service.name=${PROJECT}_$member"
  done
done
for node in $nodes; do
  # The image's variable.
  # shellcheck disable=SC2016
  in_volume "$node" 'rm -rf "$PGDATA"' < /dev/null
done
# shellcheck disable=SC2016
in_volume "$home" 'mv /var/lib/postgresql/staged "$PGDATA"; sync' < /dev/null
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
  # Before standbys log in: the data may have other passwords.
  in_postgres prepare.sh alone || die 'the roles of Postgres could not be set right, see above.'
  scale 1 postgres-2 postgres-3
  await_cluster
fi
forget restore
say "$file was restored. It may be older than the last migration: ./stack swarm deploy applies those."
