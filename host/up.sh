#!/bin/sh
# Builds what changed, migrates the database, starts the stack and waits until it is ready; where that fails, says why.
# Usage: host/up.sh
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh

# The site's addresses, as a person would type them.
address() { docker compose port nginx "$1" | sed 's/^0\.0\.0\.0:/localhost:/; s/^\[::]:/localhost:/; s/:\(80\|443\)$//'; }

# A pair of the user's own is looked at before anything is replaced: compose/https-own.yml. Its container stays: `docker compose start`
# wants one.
hand_over_certificate() {
  ! docker compose config --services | grep -qx certificate ||
    docker compose up --no-deps --no-log-prefix --exit-code-from certificate certificate
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

# Unless it is a change itself that starts the stack.
[ -n "${STACK_LOCKED:-}" ] || ops/settle.sh
log=$(mktemp)
trap 'rm -f "$log" "$log.ok"' EXIT
# Compose shows its progress itself; its words are kept for the remedy. Every service is started, those of the user's own Compose
# files too, but for the two that have done their work by then. --wait takes a service that has ended for one that failed, and the
# user may have such ones as well: it names the stack's own.
{
  host/build.sh &&
    hand_over_certificate &&
    # With Postgres, on which it depends, and before web is replaced, which goes on if this fails.
    docker compose run --rm --no-TTY migrate &&
    # Without a container of migrate, `docker compose start` refuses to start web.
    docker compose create --no-build migrate &&
    docker compose config --services | grep -vxE 'passwords|migrate|certificate' |
      xargs docker compose up --detach --no-build --no-deps &&
    docker compose up --detach --wait --wait-timeout 120 --no-deps --no-recreate nginx web redis postgres &&
    echo up > "$log.ok"
} 2>&1 | tee "$log" >&2
if ! [ -e "$log.ok" ]; then
  if grep -qE 'port is already allocated|address already in use' "$log"; then
    die 'a port of this machine is taken, see above: stop what listens there, or choose another: HTTP_PORT=8080 ./stack up, or HTTPS_PORT
(The other services run; ./stack down stops them.)'
  fi
  if grep -q '^certificate: ' "$log"; then die 'the certificate cannot be used, see above: nothing was replaced.'; fi
  if grep -q '^migrate failed: ' "$log"; then die "a migration failed, see above: web was not replaced. Mend the migration, and call ./stack up again."; fi
  if grep -q 'no space left on device' "$log"; then die "the disk is full: \`docker system prune\` may help."; fi
  die 'the stack did not start: see above, and ./stack logs'
fi
await_ready
site=http://$(address 8080) try=$(address 8080) files=$(setting COMPOSE_FILE)
case "$files" in
*https.yml*)
  # Under the first name that its certificate is for.
  name=$(setting HTTPS_DOMAINS | sed 's/,.*//')
  site=https://$(address 8443 | sed "s/^localhost/${name:-localhost}/") try=$site
  ;;
esac
say "
The stack is up at $site. Try:
  curl $try        see what it answers
  ./stack logs                see what every service says
  ./stack down                stop; the data stays (./stack down --volumes forgets it)"
case "$files" in *https-acme*) say 'Its first certificate may take a minute: ./stack logs acme' ;; esac
stand_ins=$(stand_ins)
[ -z "$stand_ins" ] ||
  say "It runs on stand-ins for official images. To pull those, remove from .env, and call ./stack up: $stand_ins"
