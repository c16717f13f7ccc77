# shellcheck shell=sh disable=SC2034,SC2154
# Whether things are worse than before; sourced after lib.sh, whose `before` and `network` it reads.

# What NGINX saw in the last seconds: requests, failed, median and 95th percentile in milliseconds. Usage: nginx_sample SECONDS
nginx_sample() { docker logs --since "${1}s" "$(running nginx)" 2> /dev/null | awk -f ops/edge.awk; }

# Watches some replicas for so long, and what NGINX sees of them. Fails with `cause` as soon as anything is worse than `before`.
# Usage: watch SECONDS REPLICA...
watch() {
  _ends=$(($(date +%s) + $1)) _from=$(date +%s) _addresses='' _requests=0 _failed=0 _slow=0 _unready=0
  shift
  for _id; do _addresses="$_addresses $(address "$_id")"; done
  while [ "$_from" -lt "$_ends" ]; do
    _all=yes
    for _id; do
      [ "$(field '{{.RestartCount}}{{.State.Running}}' "$_id")" = 0true ] || {
        cause="a new replica crashed: $(docker logs --tail 1 "$_id" 2>&1)"
        return 1
      }
      is_ready "$_id" || { _all=no && cp "$TMP/readyz" "$TMP/unready"; }
    done
    if [ $_all = yes ]; then _unready=0; else _unready=$((_unready + 1)); fi
    [ "$_unready" -lt 3 ] || {
      cause="a new replica is not ready any more: $(cat "$TMP/unready")"
      return 1
    }
    sleep 1
    # Whole seconds, none of them twice.
    _to=$(date +%s)
    # shellcheck disable=SC2046,SC2086
    compare $before $(docker logs --since "$_from" --until "$_to" "$(running nginx)" 2> /dev/null |
      awk -v of="$_addresses" -f ops/edge.awk) || return 1
    _from=$_to
  done
}

# Usage: compare REQUESTS FAILED P50 P95 (before) REQUESTS FAILED P50 P95 (just now)
compare() {
  _requests=$((_requests + $5)) _failed=$((_failed + $6))
  # One in a hundred more than before, and more than a chance.
  if [ "$_failed" -ge 3 ] && [ $((_failed * 100)) -gt $((_requests + _requests * 100 * $2 / ($1 + 1))) ]; then
    cause="$_failed of $_requests requests to new replicas failed; before, $2 of $1"
    return 1
  fi
  # Half as long again as before, for five seconds on end with enough to see.
  if [ "$1" -ge 50 ] && [ "$5" -ge 10 ] && [ $(($7 * 2)) -gt $(($3 * 3 + 4)) ]; then _slow=$((_slow + 1)); else _slow=0; fi
  if [ "$_slow" -ge 5 ]; then
    cause="requests take $7 ms; before, $3 ms (medians)"
    return 1
  fi
}
