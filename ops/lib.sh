# shellcheck shell=sh disable=SC2034
# What the scripts of this folder share; sourced by them, in the folder of docker-compose.yml, after host/lib.sh.
#
# Two containers of the engine keep changes of a running stack in order, whichever machine or terminal they come from:
# - PROJECT-lock runs for as long as the script that holds it. Its standard input is a pipe of that script. If the script dies, in
#   whatever way, the pipe closes within a second, and the container ends.
# - PROJECT-deploy, which never starts, is the journal of a deploy. Its labels say what to go back to. It is removed once the
#   deploy is confirmed, or undone.

READY_S=${DEPLOY_READY:-60} # a new replica has so long to become ready (seconds)
RESTORE_TIMEOUT=${RESTORE_TIMEOUT:-3600} # Postgres may take so long to recover a backup (seconds)
STOP_S=15  # docker-compose.yml, stop_grace_period

PROJECT=$(project)
LOCK=$PROJECT-lock
JOURNAL=$PROJECT-deploy
VOLUME_TASK=$PROJECT-volume
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
# Why a step failed; what NGINX saw before; the network on which NGINX finds replicas.
cause='' before='' network=''

step() { say "==> $*"; }

# The backups of a kind in a folder, newest first: the times are in their names. Usage: backups FOLDER base|dump
backups() {
  case "$2" in base) _suffix=tar.gz ;; dump) _suffix=sql.gz ;; esac
  find "$1/" -maxdepth 1 -name "$2-????????T??????Z.$_suffix" | sort -r
}

# A path as the caller of ./stack means it. Usage: absolute PATH
absolute() { case "$1" in /*) echo "$1" ;; *) echo "${CALLER:-$PWD}/$1" ;; esac; }

# The containers of a service, oldest first. Usage: containers SERVICE [docker ps option...]
containers() {
  _service=$1
  shift
  docker ps --all --no-trunc --format '{{.CreatedAt}} {{.ID}}' "$@" \
    --filter "label=com.docker.compose.project=$PROJECT" --filter "label=com.docker.compose.service=$_service" \
    --filter label=com.docker.compose.oneoff=False | sort | sed 's/.* //'
}
has_journal() { docker inspect "$JOURNAL" > /dev/null 2>&1; }
running() { containers "$1" --filter status=running; }
# Tells the status page and the alerts of a deploy, where they run (compose/observability.yml). Usage: tell begin|done|back
tell() {
  for _id in $(running status); do docker exec "$_id" /usr/local/bin/node healthcheck.cjs "/deploys/$1" > /dev/null 2>&1 || true; done
}
# The container of Postgres: PG_CONTAINER. On a Swarm it is elsewhere: swarm/lib.sh
find_postgres() {
  PG_CONTAINER=$(running postgres)
  [ -n "$PG_CONTAINER" ]
}
# Docker where Postgres runs.
engine() { docker "$@"; }
# Docker where the lock is held, and an image that is there.
lock_engine() { docker "$@"; }
lock_image() { docker image inspect "$PROJECT-nginx" > /dev/null 2>&1 && echo "$PROJECT-nginx"; }

# Usage: field TEMPLATE CONTAINER
field() { docker inspect --format "$1" "$2"; }

# Ends, because another change holds the lock.
under_way() {
  die "$(lock_engine inspect --format '{{index .Config.Labels "stack.task"}}' "$LOCK" 2> /dev/null || echo 'Another change') is under way: wait for its end."
}

# Runs at every exit of a script that holds the lock. The script defines clean_up, which puts the stack in order.
finish() {
  _status=$?
  trap '' INT TERM HUP
  clean_up
  lock_engine rm --force "$LOCK" > /dev/null 2>&1 || true
  rm -rf "$TMP"
  exit "$_status"
}

# Takes the lock, or ends. Usage: lock "What for"
lock() {
  _image=$(lock_image) || die 'the stack is not built yet: ./stack up starts it.'
  (
    trap '' INT TERM HUP
    echo held
    while kill -0 "$$" 2> /dev/null; do sleep 1; done
  ) | lock_engine run --rm --interactive --name "$LOCK" --label "stack.task=$1" --network none --read-only --cap-drop ALL \
    --entrypoint cat "$_image" > "$TMP/held" 2> "$TMP/refused" &
  until [ -s "$TMP/held" ] || [ -s "$TMP/refused" ]; do sleep 0.1; done
  if [ ! -s "$TMP/refused" ]; then
    # The lock is free, so a volume task that still runs belongs to a script that was killed.
    end_volume_task
    trap finish EXIT
    # An ordinary end, so that `finish` runs.
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    return 0
  fi
  grep -q 'already in use' "$TMP/refused" || die "$(cat "$TMP/refused")"
  under_way
}

# A program of Postgres's image, in a container of its own, on the volume of the data. Usage: in_volume PROGRAM [argument...]
in_volume() {
  _program=$1
  shift
  docker compose run --rm --no-deps --no-TTY --name "$VOLUME_TASK" --env "RESTORE_TIMEOUT=$RESTORE_TIMEOUT" \
    --entrypoint "$_program" postgres "$@"
}

end_volume_task() { lock_engine rm --force "$VOLUME_TASK" > /dev/null 2>&1 || true; }

# The network on which NGINX finds replicas. Usage: front REPLICA...
front() {
  for _id; do
    # Go's variables, not the shell's.
    # shellcheck disable=SC2016
    field '{{range $name, $network := .NetworkSettings.Networks}}{{$name}} {{$network.Aliases}}
{{end}}' "$_id" | sed -n '/web\.front\.internal/s/ .*//p'
  done | head -n 1
}
# The address of a replica there.
address() { field "{{(index .NetworkSettings.Networks \"$network\").IPAddress}}" "$1"; }

is_ready() { docker exec "$1" /usr/local/bin/node healthcheck.cjs /readyz > "$TMP/readyz" 2>&1; }

# Until a replica says itself that it can do its work. Usage: await_ready REPLICA
await_ready() {
  _ends=$(($(date +%s) + READY_S))
  until is_ready "$1"; do
    if [ "$(field '{{.RestartCount}}{{.State.Running}}' "$1")" != 0true ]; then
      cause="a new replica ends: $(docker logs --tail 1 "$1" 2>&1)"
      return 1
    elif [ "$(date +%s)" -ge "$_ends" ]; then
      cause="a new replica is not ready after $READY_S s: $(cat "$TMP/readyz")"
      return 1
    fi
    sleep 0.2
  done
}

# Until NGINX has sent a request to each of these addresses, by its own log. Usage: await_nginx SINCE ADDRESS...
await_nginx() {
  _since=$1 _ends=$(($(date +%s) + 30))
  shift
  for _address; do
    until docker logs --since "$_since" "$(running nginx)" | grep -q "[\" ]$_address:8000[\",]"; do
      if [ "$(date +%s)" -ge "$_ends" ]; then
        cause="NGINX does not use the replica at $_address"
        return 1
      fi
      # Nine at once: NGINX sends them to different replicas.
      docker exec "$(running nginx)" curl --noproxy '*' --silent --output /dev/null --max-time 8 'http://127.0.0.1:8080/health?[1-9]' || true
    done
  done
}

# Takes a replica away after it has answered what it has. Usage: retire REPLICA
retire() {
  docker stop --time "$STOP_S" "$1" > /dev/null
  docker rm --force "$1" > /dev/null
}
