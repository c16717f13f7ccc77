#!/bin/sh
# Replaces the replicas of web by new ones, then NGINX if it changed, and goes back by itself if anything gets worse.
# Usage: ops/deploy.sh [--previous]          --previous: to the image before the last deploy, in place of a build
#        DEPLOY_WATCH: for how long it watches afterwards (seconds, 60 by default)
#        MIGRATE_TRANSACTION_TIMEOUT: how long a migration may take (3s by default, 0 for ever)
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh
# shellcheck source=ops/lib.sh
. ops/lib.sh
# shellcheck source=ops/watch.sh
. ops/watch.sh
# shellcheck source=ops/rolling.sh
. ops/rolling.sh

WATCH=${DEPLOY_WATCH:-60}
case "$WATCH" in '' | *[!0-9]*) die "DEPLOY_WATCH is '$WATCH': give a number of seconds." ;; esac

fail() { die "the deploy failed: $*"; }

build() {
  step 'Building'
  host/build.sh web nginx migrate || fail 'the build, see above.'
  docker compose run --rm --no-deps --no-TTY nginx -t > "$TMP/nginx" 2>&1 || fail "NGINX refuses its configuration: $(cat "$TMP/nginx")"
  step 'Migrating'
  # Visitors wait for what a migration locks, and give up after 5 s.
  docker compose run --rm --no-deps --no-TTY --env "MIGRATE_LOCK_TIMEOUT=${MIGRATE_LOCK_TIMEOUT:-2s}" \
    --env "MIGRATE_TRANSACTION_TIMEOUT=${MIGRATE_TRANSACTION_TIMEOUT:-3s}" migrate || fail 'a migration, see above.'
}

lock 'A deploy'
undo_unfinished
begin
check_room || fail "$cause"
case "${1:-}" in
'') build ;;
--previous) docker tag "$PROJECT-web:previous" "$PROJECT-web" || die 'there is nothing to go back to: no deploy has replaced web.' ;;
esac
if [ -z "$(outdated web)$(outdated nginx)" ]; then
  confirm
  [ "${1:-}" != --previous ] || die 'the image before is the one that runs: check out the version that you want, and call ./stack deploy.'
  say 'Nothing has changed: web and nginx stay as they are.'
  exit
fi
tell begin
roll || fail "$cause"
confirm
tell 'done'
say 'The new replicas serve.'
