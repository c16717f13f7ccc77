# shellcheck shell=sh
# Postgres on the Swarm. Sourced after rollout.sh.

# The first nodes of SWARM_NODES keep the data. docs/swarm.md tells how to replace one. Usage: label_nodes HOW_MANY
label_nodes() {
  _n=0
  for _at in $SWARM_NODES; do
    [ $_n -lt "$1" ] || break
    _n=$((_n + 1))
    [ -z "$(swarm node ls --filter "node.label=store=$_n" --quiet)" ] || continue
    swarm node update --label-add "store=$_n" "$(at "$_at" info --format '{{.Swarm.NodeID}}')" > /dev/null ||
      die "$_at cannot be given the label store=$_n, see above."
  done
  [ $_n = "$1" ] || die "SWARM_NODES names $_n nodes, and Postgres needs three: name more, or set SWARM_POSTGRES=single."
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

deploy_three() {
  label_nodes 3
  if find_postgres; then
    # One after the other, so that two are always there.
    for _store in $STORES; do
      apply "$_store"
      await "$_store"
      await_cluster
    done
  else
    # At a first start, or after one that failed: no member is of use before two are there.
    # Each word is a service.
    # shellcheck disable=SC2086
    apply $STORES
    # shellcheck disable=SC2086
    await $STORES
    await_cluster
  fi
  in_postgres prepare.sh || die 'the roles of Postgres could not be set right, see above.'
}

deploy_single() {
  label_nodes 1
  apply postgres
  await postgres
}
