# shellcheck shell=sh
# Postgres on the Swarm. Sourced after rollout.sh.

# Gives each of the first nodes of SWARM_NODES a part of the data, and a new node the part of one that was removed. Usage: label_nodes HOW_MANY
label_nodes() {
  for _n in $(seq "$1"); do
    [ -z "$(store_id "$_n")" ] || continue
    _free=''
    for _at in $REACHED; do
      # One that has a part keeps it.
      _id=$(at "$_at" info --format '{{.Swarm.NodeID}}')
      [ -n "$(swarm node inspect --format '{{index .Spec.Labels "store"}}' "$_id")" ] || { _free=$_id && break; }
    done
    [ -n "$_free" ] || die "no node that answers is free for part $_n of Postgres's data: name another one in SWARM_NODES, or set SWARM_POSTGRES=single."
    swarm node update --label-add "store=$_n" "$_free" > /dev/null || die "the node $_free cannot be given the label store=$_n, see above."
  done
}

# Until the cluster has a primary and two standbys that follow it, one of them synchronously.
await_cluster() {
  _ends=$(($(date +%s) + LIMIT_S))
  until in_postgres patronictl --config-file /tmp/patroni.yml list --format tsv > "$TMP/cluster" 2>&1 &&
    [ "$(grep -c '	streaming	' "$TMP/cluster")" = 2 ] && grep -q '	Sync Standby	' "$TMP/cluster"; do
    [ "$(date +%s)" -lt "$_ends" ] || die "Postgres is not complete after $LIMIT_S s:
$(cat "$TMP/cluster")"
    sleep 1
  done
}

# Postgres's services, the primary's last: it hands over once, to a member that is replaced already.
in_order() {
  echo "$STORES" | tr ' ' '\n' | grep -vx "$1"
  echo "$1"
}

all_stores_answer() {
  for _n in 1 2 3; do [ -n "$(store_node $_n)" ] || return 1; done
}

deploy_three() {
  label_nodes 3
  if ! find_postgres; then
    # At a first start, or after one that failed: no member is of use before two are there.
    # Each word is a service.
    # shellcheck disable=SC2086
    apply $STORES
    # shellcheck disable=SC2086
    await $STORES
    await_cluster
  elif ! all_stores_answer; then
    # Two members are left, and Postgres and etcd need both.
    say 'A node that keeps data does not answer. Postgres stays as it is; deploy again when the node is back.'
  else
    # One after the other, so that two are always there.
    for _store in $(in_order "$(engine inspect --format '{{index .Config.Labels "com.docker.swarm.service.name"}}' "$PG_CONTAINER" | sed "s/^${PROJECT}_//")"); do
      apply "$_store"
      await "$_store"
      await_cluster
    done
  fi
  in_postgres prepare.sh || die 'the roles of Postgres could not be set right, see above.'
}

deploy_single() {
  label_nodes 1
  apply postgres
  await postgres
}
