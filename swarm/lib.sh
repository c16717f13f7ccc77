# shellcheck shell=sh disable=SC2034
# What the scripts of this folder share; sourced by them, in the folder of docker-compose.yml, after host/lib.sh and ops/lib.sh.

STORES='etcd-1 etcd-2 etcd-3 postgres-1 postgres-2 postgres-3'
export COMPOSE_FILE=docker-compose.yml:swarm/images.yml
# Swarm allows 64 characters for a secret, database-url-000000000000 with this before it.
[ ${#PROJECT} -le 38 ] || die "COMPOSE_PROJECT_NAME has more than 38 characters: a secret of the Swarm could not be named after it."

# The name of a variable. Usage: upper NAME
upper() { echo "$1" | tr '[:lower:]-' '[:upper:]_'; }

# The settings of .env and the environment, and the names of x-names, as Compose has them.
while IFS=' ' read -r name value; do
  value=${value#\"}
  export "${name%:}=${value%\"}"
done << END
$(docker compose config | sed -n -e '/^x-settings:$/,/^[^ ]/s/^  \([A-Z_]*: \)/\1/p' -e '/^x-names:$/,/^[^ ]/s/^  \([a-z]*: \)/\1/p')
END

# Docker on one node. Usage: at NODE docker-argument...
at() {
  _node=$1
  shift
  docker --host "$_node" "$@"
}
# Docker on a manager.
swarm() { at "$MANAGER" "$@"; }

[ -n "$SWARM_NODES" ] || die "SWARM_NODES is not set: name the nodes in .env, as in SWARM_NODES='ssh://root@one ssh://root@two ssh://root@three'"
MANAGER='' REACHED=''
for node in $SWARM_NODES; do
  case "$(at "$node" info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}' 2> "$TMP/info")" in
  'active true') MANAGER=${MANAGER:-$node} REACHED="$REACHED $node" ;;
  'active false') REACHED="$REACHED $node" ;;
  '' | ' '*) say "$node does not answer: $(tail -n 1 "$TMP/info")" ;;
  *) die "$node is part of no Swarm: join it, docs/swarm.md" ;;
  esac
done
[ -n "$MANAGER" ] || die 'no node of SWARM_NODES is a manager that answers: see docs/swarm.md'

# ops/lib.sh holds the lock here: the first manager that answers, whichever machine calls.
lock_engine() { swarm "$@"; }
lock_image() { swarm image ls --format '{{.Repository}}:{{.Tag}}' "${SWARM_REGISTRY:+$SWARM_REGISTRY/}$PROJECT-nginx" | grep -m 1 .; }
clean_up() { :; }

# What the Swarm knows of the stack beside its services, each in a config's label: `postgres`, how it was deployed, and `restore`, the
# file of one that has begun. Usage: remember NAME VALUE | remembered NAME | forget NAME
remember() { echo "$2" | swarm config create --label "value=$2" "${PROJECT}_$1" - > /dev/null; }
remembered() { swarm config inspect --format '{{index .Spec.Labels "value"}}' "${PROJECT}_$1" 2> /dev/null; }
forget() { swarm config rm "${PROJECT}_$1" > /dev/null 2>&1 || true; }

# The node that keeps the data of a member: its ID, and where Docker reaches it; nothing if it does not answer.
# Usage: store_id N | store_node N
store_id() { swarm node ls --filter "node.label=store=$1" --quiet; }
store_node() {
  _id=$(store_id "$1")
  for _node in $REACHED; do
    [ "$(at "$_node" info --format '{{.Swarm.NodeID}}')" != "${_id:-none}" ] || { echo "$_node" && return; }
  done
}

# The container of a service's task on a node. Usage: container NODE SERVICE
container() { at "$1" ps --quiet --filter "label=com.docker.swarm.service.name=${PROJECT}_$2" --filter status=running | head -n 1; }

# Until no container of these matches: at most a minute, twice what any task may take to stop. Usage: await_gone NODE LABEL
await_gone() {
  _ends=$(($(date +%s) + 60))
  until [ -z "$(at "$1" ps --quiet --filter "label=$2")" ]; do
    [ "$(date +%s)" -lt "$_ends" ] || die "on $1 a task does not end: is it cut off from the managers? ($2)"
    sleep 0.5
  done
}

# Is there a PG_CONTAINER, and is it the primary? Patroni answers with 200 if it is.
leads() {
  [ -n "${PG_CONTAINER:-}" ] && engine exec "$PG_CONTAINER" curl --noproxy '*' --silent --fail --output /dev/null --max-time 3 \
    http://127.0.0.1:8008/primary > /dev/null 2>&1
}

# The Postgres that takes writes: PG_NODE and PG_CONTAINER. Usage: find_postgres
find_postgres() {
  # Most often it is still the one that it was: by SSH each question takes a moment.
  ! leads || return 0
  for PG_NODE in $REACHED; do
    PG_CONTAINER=$(container "$PG_NODE" postgres)
    [ -z "$PG_CONTAINER" ] || return 0
    for _member in postgres-1 postgres-2 postgres-3; do
      PG_CONTAINER=$(container "$PG_NODE" $_member)
      ! leads || return 0
    done
  done
  PG_CONTAINER=''
  return 1
}
engine() { at "$PG_NODE" "$@"; }
in_postgres() { find_postgres && engine exec -i "$PG_CONTAINER" "$@"; }
