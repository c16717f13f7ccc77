# shellcheck shell=sh disable=SC2034
# The steps of a rolling update, and the way back; sourced after lib.sh and watch.sh.

IMAGES='web nginx migrate'
FIRST_S=5 # for which the first new replica serves beside the old ones

journal() { field "{{index .Config.Labels \"stack.$1\"}}" "$JOURNAL"; }

image() { docker image inspect --format '{{.Id}}' "$1" 2> /dev/null || true; }

# Writes the journal: the replicas that run now, and the images that their names mean. Before a build, which moves the names.
begin() {
  # Remove replicas that an operator stopped: new_replicas would list them.
  for id in $(containers web --filter status=exited) $(containers web --filter status=created); do docker rm "$id" > /dev/null; done
  old=$(running web | tr '\n' ' ')
  [ -n "$old" ] || die 'no replica of web runs: ./stack up starts them.'
  # shellcheck disable=SC2086
  network=$(front $old)
  set --
  for service in $IMAGES; do set -- "$@" --label "stack.image.$service=$(image "$PROJECT-$service")"; done
  docker create --name "$JOURNAL" --label "stack.old=$old" "$@" --network none --entrypoint true \
    "$(field '{{.Image}}' "$(running nginx)")" > /dev/null
}

# New replicas need as much memory as those that they replace, for as long as both run.
check_room() {
  # The engine may be another machine's.
  [ -r /proc/meminfo ] && [ -d "$(docker info --format '{{.DockerRootDir}}')" ] || return 0
  _free=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
  # shellcheck disable=SC2086
  _used=$(docker stats --no-stream --format '{{.MemUsage}}' $old | awk '{ sum += $1 * ($1 ~ /GiB/ ? 1024 : 1) } END { print int(sum) }')
  [ "$_free" -gt "$_used" ] || {
    cause="$_free MB of memory are free, and as many new replicas need $_used MB."
    return 1
  }
}

# The replicas that the journal does not name.
new_replicas() {
  for id in $(containers web); do case " $old " in *" $id "*) ;; *) echo "$id" ;; esac; done
}

# The running containers of a service that are not as docker-compose.yml and its image are now. Usage: outdated SERVICE
outdated() {
  _now="$(docker compose config --hash "$1" | cut -d ' ' -f 2) $(image "$PROJECT-$1")"
  for _id in $(running "$1"); do
    [ "$(field '{{index .Config.Labels "com.docker.compose.config-hash"}} {{.Image}}' "$_id")" = "$_now" ] || echo "$_id"
  done
}

# Creates replicas, hidden from NGINX, until there are so many in all. Usage: create HOW_MANY
create() {
  docker compose up --no-start --no-build --no-deps --no-recreate --scale "web=$1" web 2> "$TMP/compose" || {
    cause="no replica could be created: $(tail -n 3 "$TMP/compose")"
    return 1
  }
  new=$(new_replicas)
  # NGINX finds a replica as soon as it is on this network, ready or not: https://github.com/moby/moby/issues/27279
  for _id in $new; do docker network disconnect "$network" "$_id"; done
}

# Starts replicas, waits until they are ready, shows them to NGINX, and waits until it uses them. Usage: bring REPLICA...
bring() {
  for _id; do docker start "$_id" > /dev/null; done
  for _id; do await_ready "$_id" || return 1; done
  _then=$(date +%s) _addresses=''
  for _id; do
    # As Compose names it there.
    docker network connect --alias web --alias web.front.internal "$network" "$_id"
    _addresses="$_addresses $(address "$_id")"
  done
  # shellcheck disable=SC2086
  await_nginx "$_then" $_addresses
}

# Replaces what is outdated, web then NGINX, and watches. Fails with `cause` as soon as anything is worse than before.
roll() {
  before=$(nginx_sample 60)
  new=''
  if [ -n "$(outdated web)" ]; then
    count=$(echo "$old" | wc -w)
    step "Starting one new replica, then $((count - 1)) more"
    create $((2 * count)) || return 1
    # shellcheck disable=SC2086
    set -- $new
    # Not all at the same time, or all would crash at the same time.
    bring "$1" && watch "$FIRST_S" "$1" || return 1
    shift
    [ $# = 0 ] || bring "$@" || return 1
    step 'Taking the old replicas away, one at a time'
    for id in $old; do
      # Docker would start it again with the engine.
      docker update --restart no "$id" > /dev/null
      docker stop --time "$STOP_S" "$id" > /dev/null
    done
  fi
  if [ -n "$(outdated nginx)" ]; then
    step 'Replacing NGINX'
    docker compose up --detach --wait --no-build --no-deps nginx 2> "$TMP/compose" || {
      cause="the new NGINX does not start: $(docker compose logs --no-log-prefix --tail 1 nginx 2>&1)"
      return 1
    }
  fi
  step "Watching for $WATCH s"
  # shellcheck disable=SC2086
  watch "$WATCH" $new
}

# Undoes what was done since the journal was written, whatever that is.
go_back() {
  old=$(journal old)
  # shellcheck disable=SC2086
  network=$(front $old)
  _again=''
  for id in $old; do
    [ "$(field '{{.State.Running}}' "$id" 2> /dev/null || true)" = false ] || continue
    docker update --restart always "$id" > /dev/null
    docker start "$id" > /dev/null
    _again="$_again $id"
  done
  _then=$(date +%s)
  for id in $_again; do await_ready "$id" || say "$cause"; done
  for id in $_again; do await_nginx "$_then" "$(address "$id")" || say "$cause"; done
  for id in $(new_replicas); do retire "$id"; done
  for service in $IMAGES; do
    _image=$(journal "image.$service")
    [ -z "$_image" ] || docker tag "$_image" "$PROJECT-$service"
  done
  # Not for its settings, which are those of now: they may ask for a certificate that is not there.
  [ "$(field '{{.Image}}' "$(running nginx)" 2> /dev/null)" = "$(journal image.nginx)" ] ||
    docker compose up --detach --no-build --no-deps nginx
  docker rm "$JOURNAL" > /dev/null
  tell back
  say 'What ran before serves again.'
}

# The new replicas stay. The image of the old ones is kept under a name, for ./stack rollback.
confirm() {
  _image=$(journal image.web)
  [ "$_image" = "$(image "$PROJECT-web")" ] || docker tag "$_image" "$PROJECT-web:previous"
  for id in $old; do [ "$(field '{{.State.Running}}' "$id" 2> /dev/null)" = true ] || docker rm "$id" > /dev/null; done
  docker rm "$JOURNAL" > /dev/null
}

clean_up() {
  ! has_journal || {
    step 'Going back to what ran before'
    go_back
  }
}

# Before anything else is changed.
undo_unfinished() {
  ! has_journal || {
    step 'An earlier deploy was cut off. Going back to what ran before it'
    go_back
  }
}
