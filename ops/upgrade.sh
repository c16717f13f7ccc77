#!/bin/sh
# Moves the data to a newer major version of Postgres. The former data stays in the volume until ./stack restore --confirm.
# Usage: ops/upgrade.sh IMAGE
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh
# shellcheck source=ops/lib.sh
. ops/lib.sh

[ $# = 1 ] || die 'upgrade takes the image of a newer major version of Postgres.'
image=$1
former=$(base_image POSTGRES)

# Postgres's image, and that of the migrations, on this base image. Usage: use IMAGE
use() {
  export POSTGRES_IMAGE="$1"
  host/build.sh postgres migrate > "$TMP/build" 2>&1 || die "the build on $1 failed: $(tail -n 3 "$TMP/build")"
}
major() { in_volume sh -c '. /usr/local/bin/volume.sh && major_version'; }

# After a failure, or an interruption, until visitors count on the new version: as before.
clean_up() {
  [ -n "$stopped" ] || return 0
  step 'Going back to the former data'
  docker compose stop postgres
  set_in_env POSTGRES_IMAGE "$former"
  (use "$former")
  export POSTGRES_IMAGE="$former"
  # Nothing to undo if the new version did not start yet: entrypoint.sh leaves out what another version has prepared.
  if in_volume restore.sh undo 2> /dev/null; then in_volume restore.sh switch former; fi
  docker compose up --detach --no-build --no-deps --wait --wait-timeout 120 postgres
}

stopped=''
lock 'An upgrade of Postgres'

step "Building on $image"
use "$image"
new=$(major)
# Back, so that the tools of the former version read its data.
use "$former"
old=$(major)
[ "$new" -gt "$old" ] || die "$image is Postgres $new, and the data is of $old: nothing to upgrade. ./stack update fetches newer patches."
in_volume test ! -e /var/lib/postgresql/former ||
  die 'an earlier restore still waits for its end: ./stack restore --confirm, or --undo.'
[ -z "$(running postgres)" ] || docker compose exec -T postgres restore.sh flush || die 'nothing was changed.'

step 'Stopping Postgres. Visitors wait, and are refused after 5 s'
stopped=yes
docker compose stop postgres
step "Reading the data by Postgres $old"
in_volume restore.sh save
step "Writing it by Postgres $new"
use "$image"
in_volume restore.sh cluster
in_volume restore.sh switch staged
set_in_env POSTGRES_IMAGE "$image"
unset POSTGRES_IMAGE
step "Starting on Postgres $new"
docker compose up --detach --wait --wait-timeout 120 --no-build --no-deps postgres ||
  die "Postgres $new does not start: $(docker compose logs --no-log-prefix --tail 3 postgres 2>&1)"
# From here on it has numbers that visitors were told: there is no way back without losing them.
stopped=''
STACK_LOCKED=yes host/up.sh
say "Postgres $new has the data. That of Postgres $old is kept: ./stack restore --confirm removes it.
The archive of WAL and older base backups belong to Postgres $old: ./stack backup makes a first one of $new."
