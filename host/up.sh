#!/bin/sh
# Builds what changed, migrates the database, starts the stack and waits until it is ready; where that fails, says why.
# Usage: host/up.sh
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh

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
  # Two images of one folder: a new migration makes another image of migrate alone, and Postgres goes on.
  label POSTGRES postgres ':(exclude)postgres/migrate.sh' ':(exclude)postgres/migrations' ':(exclude)postgres/privileges.sql'
  label MIGRATE postgres ':(exclude)postgres/entrypoint.sh' ':(exclude)postgres/roles.sql'
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

# Until the application says, through NGINX, that it is ready.
await_ready() {
  path=/health
  for _ in $(seq 20); do
    # Docker's client gives containers the proxies of its user, which curl would ask for an address of its own container.
    answer=$(docker compose exec -T nginx curl --noproxy '*' --silent --show-error --max-time 8 \
      --write-out '\n%{http_code}' "http://127.0.0.1:8080$path" 2>&1) || true
    [ "${answer##*
}" != 200 ] || return 0
    sleep 0.5
  done
  cause=$(docker compose exec -T web /usr/local/bin/node healthcheck.cjs /readyz 2>&1) || true
  die "the stack runs, but the application is not ready. GET $path through nginx answers:
$answer
GET /readyz of web answers:
$cause"
}

label_images
# Buildx adds to an image when it was built. With containerd's image store that would make it another image each time, and
# Compose would replace containers without a change.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1
log=$(mktemp)
trap 'rm -f "$log" "$log.ok"' EXIT
# Compose shows its progress itself; its words are kept for the remedy. Every service is started, those of the user's own Compose
# files too, but for the two that have done their work by then. --wait takes a service that has ended for one that failed, and the
# user may have such ones as well: it names the stack's own.
{
  docker compose build &&
    # With Postgres, on which it depends, and before web is replaced, which goes on if this fails.
    docker compose run --rm --no-TTY migrate &&
    # Without a container of migrate, `docker compose start` refuses to start web.
    docker compose create --no-build migrate &&
    docker compose config --services | grep -vxE 'passwords|migrate' |
      xargs docker compose up --detach --no-build --no-deps &&
    docker compose up --detach --wait --wait-timeout 120 --no-deps --no-recreate nginx web redis postgres &&
    echo up > "$log.ok"
} 2>&1 | tee "$log" >&2
if ! [ -e "$log.ok" ]; then
  if grep -qE 'port is already allocated|address already in use' "$log"; then
    die 'a port of this machine is taken, see above: stop what listens there, or choose another: HTTP_PORT=8080 ./stack up
(The other services run; ./stack down stops them.)'
  fi
  if grep -q '^migrate failed: ' "$log"; then die "a migration failed, see above: web was not replaced. Mend the migration, and call ./stack up again."; fi
  if grep -q 'no space left on device' "$log"; then die "the disk is full: \`docker system prune\` may help."; fi
  die 'the stack did not start: see above, and ./stack logs'
fi
await_ready
address=$(docker compose port nginx 8080 | sed 's/^0\.0\.0\.0:/localhost:/; s/^\[::]:/localhost:/; s/:80$//')
say "
The stack is up at http://$address. Try:
  curl $address        see what it answers
  ./stack logs                see what every service says
  ./stack down                stop; the data stays (./stack down --volumes forgets it)"
stand_ins=$(stand_ins)
[ -z "$stand_ins" ] ||
  say "It runs on stand-ins for official images. To pull those, remove from .env, and call ./stack up: $stand_ins"
