#!/bin/sh
# The base images. `ensure` has them here: pulled, or made where no registry answers. `update` gets newer ones, starts the
# stack on them, and removes the former ones and the project's former builds.
# Usage: host/images.sh ensure | update
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh

LEAST_DISK_MB=3000 # base images, the build and a little air

is_here() { docker image inspect "$@" > /dev/null 2>&1; }

# The images are on the disk of the engine, which may be another machine's: then it has to know itself.
ensure_disk() {
  root=$(docker info --format '{{.DockerRootDir}}')
  [ -d "$root" ] || return 0
  free=$(df -Pm "$root" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$LEAST_DISK_MB" ] ||
    die "$free MB are free on the disk of $root, this needs $LEAST_DISK_MB: free some, \`docker system prune\` may help."
}

# Compose pulls, because `docker pull` prompts for a user where a registry wants one, and hangs without a terminal.
compose_pull() { printf 'name: pull\nservices: { base: { image: "%s" } }\n' "$1" | docker compose --file - pull --quiet 2> "$errors"; }

# Pulls an image, or says why not: then its setting is in unanswered if nothing answered, in refused otherwise.
# Usage: pull SETTING IMAGE
pull() {
  errors=$(mktemp)
  if busy "Pulling $2" compose_pull "$2"; then
    answered=yes
  else
    words=$(tail -n 1 "$errors")
    say "$words"
    if no_answer "$words"; then unanswered="$unanswered $1"; else refused="$refused $1"; fi
  fi
  rm -f "$errors"
}

# Whether these words of Docker's mean that nothing answered where a registry should be: its name is not known, or its
# address refuses, cannot be reached or keeps silent. A pull that fails at the token or at a layer got an answer before.
no_answer() {
  case "$1" in *'failed to authorize'* | *'failed to copy'* | *'download failed'*) return 1 ;; esac
  printf %s "$1" | grep -qE 'dial tcp|proxyconnect|no such host|i/o timeout|handshake timeout|Client\.Timeout|deadline exceeded|connection reset'
}


# Usage: build_stand_ins [--newer]
build_stand_ins() {
  # Each word is an image.
  # shellcheck disable=SC2046
  host/base-images/build.sh "$@" $(base_images | sed 's/_IMAGE .*//' | tr '[:upper:]' '[:lower:]')
}

# Whether nothing but the default names this image.
by_default() {
  (
    unset NODE_IMAGE NGINX_IMAGE REDIS_IMAGE POSTGRES_IMAGE PROMETHEUS_IMAGE ALERTMANAGER_IMAGE EXPORTER_IMAGE LEGO_IMAGE
    docker compose --env-file /dev/null config
  ) | grep -qxF "  $1: $2"
}

ensure() {
  images=$(base_images)
  # The stack's own are among them: those of a service are here only when it was built.
  # shellcheck disable=SC2046
  is_here $(printf '%s\n' "$images" | cut -d ' ' -f 2) $(docker compose config --images) || ensure_disk
  answered='' refused='' unanswered='' chosen=''
  while read -r setting image; do
    ! is_stand_in "$image" || continue
    is_here "$image" && continue
    pull "$setting" "$image"
    by_default "$setting" "$image" || chosen=yes
  done << END
$images
END
  [ -z "$refused" ] ||
    die "the image of$refused cannot be pulled, see above: mend its name in .env, \`docker login\`, or try again later."
  # An image that .env or the environment names is not replaced. Where one registry answers, another one is only away.
  [ -z "$unanswered" ] || [ -z "$answered$chosen" ] ||
    die "no registry answers for$unanswered, see above: connect to it, or name images that are here in .env."
  [ -n "$unanswered$(stand_ins)" ] || return 0
  [ -z "$unanswered" ] || may_install "No image registry answers here. Base images will be built from Debian packages and npm packages, under names of
their own (stand-in/...), and named in .env." ||
    die 'no image registry answers, see above: connect to one, or name images that are here in .env.'
  build_stand_ins
  [ -n "$unanswered" ] || return 0
  # The last line may lack its end.
  unended=$(tail -c 1 .env 2> /dev/null || true)
  {
    [ -z "$unended" ] || echo
    echo '# Written by ./stack up, since no image registry answered. Without these lines it asks again.'
    for setting in $unanswered; do
      printf '%s=stand-in/%s\n' "$setting" "$(echo "${setting%_IMAGE}" | tr '[:upper:]' '[:lower:]')"
    done
  } >> .env
}

update() {
  ensure_disk
  refused='' unanswered='' former=''
  while read -r setting image; do
    ! is_stand_in "$image" || continue
    if [ "$(docker image inspect --format '{{len .RepoDigests}}' "$image")" = 0 ]; then
      say "$image ($setting) was made on this machine: no registry has a newer one."
      continue
    fi
    former="$former $(docker image inspect --format '{{.Id}}' "$image")"
    pull "$setting" "$image"
  done << END
$(base_images)
END
  [ -z "$(stand_ins)" ] || build_stand_ins --newer
  # A site that serves goes on serving. Redis and Postgres are replaced by host/up.sh.
  [ -z "$(docker compose ps --quiet --status running web)" ] || ops/deploy.sh
  host/up.sh
  # Builds of this project that lost their name to a newer one. Those of other projects stay.
  docker image prune --force --filter "label=com.docker.compose.project=$(project)" > /dev/null
  for id in $former; do remove_former "$id"; done
  [ -z "$refused$unanswered" ] ||
    die "the image of$refused$unanswered cannot be renewed, see above: the one that was here serves."
}

case "${1:-}" in
ensure | update) "$1" ;;
*) echo 'usage: host/images.sh ensure | update' >&2 && exit 2 ;;
esac
