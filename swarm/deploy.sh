#!/bin/sh
# Brings the stack onto the Swarm, or updates it: Postgres first, one member at a time, then migrations, then web and NGINX. A web or
# NGINX that does not get healthy goes back by itself.
# Usage: swarm/deploy.sh
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh
# shellcheck source=swarm/lib.sh
. swarm/lib.sh
# shellcheck source=swarm/objects.sh
. swarm/objects.sh
# shellcheck source=swarm/images.sh
. swarm/images.sh
# shellcheck source=swarm/rollout.sh
. swarm/rollout.sh

exists() { swarm service inspect "${NAME}_$1" > /dev/null 2>&1; }

# Three nodes keep the data, those that SWARM_NODES names first: docs/swarm.md tells how to replace one.
label_nodes() {
  _n=0
  for _at in $SWARM_NODES; do
    _n=$((_n + 1))
    [ $_n -le 3 ] || break
    [ -z "$(swarm node ls --filter "node.label=store=$_n" --quiet)" ] || continue
    swarm node update --label-add "store=$_n" "$(at "$_at" info --format '{{.Swarm.NodeID}}')" > /dev/null
  done
  [ $_n -ge 3 ] || die 'SWARM_NODES names fewer than three nodes: Postgres needs three, or SWARM_POSTGRES=single'
}

# Until the cluster has a primary, a synchronous standby and another one.
await_cluster() {
  _ends=$(($(date +%s) + LIMIT_S))
  until in_primary patronictl --config-file /tmp/patroni.yml list --format tsv > "$TMP/cluster" 2>&1 &&
    [ "$(grep -cE '	(Leader|Sync Standby|Quorum Standby|Replica)	(running|streaming)	' "$TMP/cluster")" = 3 ] &&
    grep -q '	Sync Standby	streaming' "$TMP/cluster"; do
    [ "$(date +%s)" -lt "$_ends" ] || die "Postgres is not complete after $LIMIT_S s:
$(cat "$TMP/cluster")"
    sleep 1
  done
}

deploy_three() {
  label_nodes
  # Each word is a service.
  # shellcheck disable=SC2086
  if ! exists postgres-1; then
    apply $STORES
    await $STORES
    await_cluster
  else
    for _store in $STORES; do
      apply "$_store"
      await "$_store"
      await_cluster
    done
  fi
  in_primary prepare.sh
}

step 'Building'
export DEPLOY
DEPLOY=$(date -u +%Y%m%dT%H%M%SZ)
host/build.sh web nginx migrate > "$TMP/build" 2>&1 || die "the build failed: $(tail -n 3 "$TMP/build")"
WEB=$(named "$NAME-web") NGINX=$(named "$NAME-nginx") MIGRATE=$(named "$NAME-migrate")
REDIS=$(named "$(base_images | sed -n 's/^REDIS_IMAGE //p')")
export WEB NGINX MIGRATE REDIS
images="$WEB $NGINX $MIGRATE $REDIS"
case "$SWARM_POSTGRES" in
three)
  compose build patroni > "$TMP/build" 2>&1 || die "the build of Patroni failed: $(tail -n 3 "$TMP/build")"
  export PATRONI
  PATRONI=$(named "$NAME-patroni")
  images="$images $PATRONI"
  ;;
*) die "SWARM_POSTGRES is '$SWARM_POSTGRES': give three" ;;
esac
step 'Handing out the images'
# shellcheck disable=SC2086
hand_out $images || die 'a node does not take the images, see above.'

step 'Deploying Postgres'
POSTGRES_PASSWORD_SECRET=$(password postgres-password) WEB_PASSWORD_SECRET=$(password web-password)
REPLICATION_PASSWORD_SECRET=$(password replication-password)
export POSTGRES_PASSWORD_SECRET WEB_PASSWORD_SECRET REPLICATION_PASSWORD_SECRET
set -- --compose-file swarm/docker-stack.yml --compose-file swarm/postgres.yml
[ "$SWARM_ENCRYPTION" = off ] || set -- "$@" --compose-file swarm/encryption.yml
docker stack config "$@" > "$TMP/stack.yml" || die 'swarm/*.yml cannot be used, see above.'
deploy_three

step 'Migrating'
swarm service rm "${NAME}_migrate" > /dev/null 2>&1 || true
apply redis migrate
await redis
await_job migrate
step 'Deploying web and NGINX'
apply web nginx
await web nginx
remove_former_secrets
# shellcheck disable=SC2086
remove_former_images $images
say "The stack serves at port $HTTP_PORT of every node."
