# shellcheck shell=sh
# Deploys some services of the stack and waits for them. Sourced after lib.sh; $TMP/stack.yml is the whole stack.

LIMIT_S=${DEPLOY_TIMEOUT:-300} # for all tasks of a service (seconds)

# The stack with these services alone, in Docker's own order and indentation. Usage: only SERVICE...
only() {
  awk -v wanted=" $* " '
    /^[^ ]/ { top = $1 }
    top == "services:" && /^  [^ ]/ { service = $1; sub(/:$/, "", service); keep = index(wanted, " " service " ") }
    top != "services:" || /^[^ ]/ || keep' "$TMP/stack.yml"
}

# Usage: apply SERVICE...
apply() {
  only "$@" > "$TMP/part.yml"
  swarm stack deploy --detach --resolve-image never ${SWARM_REGISTRY:+--with-registry-auth} --compose-file "$TMP/part.yml" "$PROJECT" > "$TMP/deploy" 2>&1 ||
    die "Swarm refuses the stack: $(tail -n 1 "$TMP/deploy")"
}

# Why the newest tasks of a service do not run. Usage: errors SERVICE
errors() { swarm service ps --no-trunc --format '{{.Name}} on {{.Node}}: {{.CurrentState}} {{.Error}}' "${PROJECT}_$1" | head -n 3; }

# The tasks for which Swarm has found no node. Usage: pending SERVICE
pending() { swarm service ps --filter desired-state=running --format '{{.CurrentState}}' "${PROJECT}_$1" | grep '^Pending' || true; }

# Until all tasks of the services run, as this deploy wants them. Usage: await SERVICE...
await() {
  # Swarm notes within a second that it has to update.
  sleep 2
  _ends=$(($(date +%s) + LIMIT_S))
  for _service; do
    _asks=$(($(date +%s) + 30))
    while :; do
      # An update that failed puts the former specification back, its label included.
      _state=$(swarm service inspect --format '{{index .Spec.Labels "deploy"}} {{with .UpdateStatus}}{{.State}}{{end}}' "${PROJECT}_$_service")
      _running=$(swarm service ls --filter "name=${PROJECT}_$_service" --format '{{.Name}} {{.Replicas}}' | sed -n "s/^${PROJECT}_$_service //p" | cut -d ' ' -f 1)
      case "$_state" in
      "$DEPLOY updating" | *' rollback_started') ;;
      "$DEPLOY "*paused) die "$_service was not updated: $(errors "$_service")" ;;
      # Swarm counts the tasks of a node that is away too.
      "$DEPLOY "*)
        _up=$(swarm service ps --filter desired-state=running --format '{{.CurrentState}}' "${PROJECT}_$_service" | grep -c '^Running' || true)
        [ "$_up" = 0 ] || [ "$_up" -lt "${_running#*/}" ] || break
        ;;
      *) die "$_service was not updated, and serves as before: $(errors "$_service")" ;;
      esac
      if [ "$(date +%s)" -ge "$_asks" ] && [ -n "$(pending "$_service")" ]; then
        # Once: Swarm has been seen to leave a task pending although its node is back.
        _asks=$_ends
        swarm service update --detach --force "${PROJECT}_$_service" > /dev/null
      fi
      [ "$(date +%s)" -lt "$_ends" ] || die "$_service does not run after $LIMIT_S s ($_running): $(errors "$_service")"
      sleep 1
    done
  done
}

# Until the one task of a job has ended well; then shows what it wrote. The job is removed: Swarm has been seen to run one that was
# done again and again, after its managers had changed. Usage: await_job SERVICE
await_job() {
  _ends=$(($(date +%s) + LIMIT_S))
  while :; do
    case "$(swarm service ps --format '{{.CurrentState}}' "${PROJECT}_$1")" in
    Complete*) break ;;
    Failed* | Rejected*)
      swarm service logs --raw "${PROJECT}_$1" >&2
      _why=$(errors "$1")
      swarm service rm "${PROJECT}_$1" > /dev/null
      die "$1 failed: $_why"
      ;;
    esac
    [ "$(date +%s)" -lt "$_ends" ] || die "$1 has not ended after $LIMIT_S s: $(errors "$1")"
    sleep 1
  done
  swarm service logs --raw "${PROJECT}_$1" >&2
  swarm service rm "${PROJECT}_$1" > /dev/null
}

# Moves tasks to a node that has none, as one that was away: Swarm leaves running tasks where they are. Usage: spread SERVICE
spread() {
  for _at in $REACHED; do
    [ -z "$(container "$_at" "$1")" ] || continue
    [ "$(swarm service inspect --format '{{.Spec.Mode.Replicated.Replicas}}' "${PROJECT}_$1")" -ge "$(echo "$REACHED" | wc -w)" ] || return 0
    swarm service update --detach --force "${PROJECT}_$1" > /dev/null
    await "$1"
    return 0
  done
}
