#!/bin/sh
# Builds the images of the services, with labels that say what they are built from.
# Usage: host/build.sh [SERVICE...]
set -eu
cd "$(dirname "$0")/.."

# Sets an image's labels (docker-compose.yml) to what git knows of the files that it is built from.
# Usage: label SERVICE PATHSPEC...
label() {
  _service=$1
  shift
  _commit=$(git log -1 --format='%H %cI' -- "$@")
  [ -n "$_commit" ] || return 0
  revision=${_commit% *}
  version=$(git show "$revision:package.json" | sed -n 's/^  "version": "\(.*\)",$/\1/p')
  [ -z "$(git --no-optional-locks status --porcelain -- "$@")" ] || revision=$revision-dirty
  export "LABEL_${_service}_REVISION=$revision" "LABEL_${_service}_VERSION=$version" "LABEL_${_service}_CREATED=${_commit#* }"
}

# Without git, or outside a checkout, Compose's `unknown` stays.
label_images() {
  git rev-parse HEAD > /dev/null 2>&1 || return 0
  # Never with a user's name or token in it.
  LABEL_SOURCE=$(git config --get remote.origin.url | sed 's,//[^/]*@,//,')
  export LABEL_SOURCE
  label NGINX nginx
  label ACME acme
  # Two images of one folder: a new migration makes another image of migrate alone, and Postgres goes on.
  label POSTGRES postgres ':(exclude)postgres/migrate.sh' ':(exclude)postgres/migrations' ':(exclude)postgres/privileges.sql'
  label MIGRATE postgres/Dockerfile postgres/migrate.sh postgres/migrations postgres/privileges.sql
  # What reaches web's build: as in .dockerignore, which leaves out everything, then lets in (!), then leaves out again.
  set -- .dockerignore
  while read -r pattern; do
    case "$pattern" in
    '!'*) set -- "$@" "${pattern#!}" ;;
    '' | '#'* | '*') ;;
    *) set -- "$@" ":(exclude,glob)$pattern" ;;
    esac
  done < .dockerignore
  label WEB "$@"
}

label_images
# Buildx adds to an image when it was built. With containerd's image store that would make it another image each time, and
# Compose would replace containers without a change.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1
exec docker compose build "$@"
