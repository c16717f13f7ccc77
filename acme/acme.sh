#!/bin/sh
# Keeps one certificate for HTTPS_DOMAINS fresh in the volume that NGINX reads: asks lego for the first, and then, once an hour, whether it
# has to be renewed. It never ends by itself: what fails is tried again.
# The volume holds  site.pem      the key and the chain that NGINX serves, replaced in one step
#                   challenges/   what the authority asks NGINX for on port 80
#                   lego/         lego's account and certificates, replaced as a whole when lego has ended by itself
set -eu

say() { echo "acme: $*"; }
refuse() {
  say "$*"
  exit 1
}

LIMIT_S=300 # lego may take so long for all names
check=${ACME_CHECK_SECONDS:-3600}
case "$check" in '' | 0* | *[!0-9]*) refuse "ACME_CHECK_SECONDS is '$check': give a number of seconds, such as 3600." ;; esac
names=$(printf %s "$HTTPS_DOMAINS" | tr 'A-Z,' 'a-z ')
first=''
for name in $names; do
  case "$name" in *[!a-z0-9.-]* | .* | -* | *. | *..*)
    refuse "HTTPS_DOMAINS holds '$name': give names of this site, such as example.com,www.example.com; without wildcards, others than ASCII as xn--..." ;;
  esac
  first=${first:-$name}
done
[ -n "$first" ] || refuse "HTTPS_DOMAINS holds no name: give names of this site, such as example.com,www.example.com."
case "${ACME_DIRECTORY:-}" in
'') server=https://acme-v02.api.letsencrypt.org/directory ;;
staging) server=https://acme-staging-v02.api.letsencrypt.org/directory ;;
https://*) server=$ACME_DIRECTORY ;;
*) refuse "ACME_DIRECTORY is '$ACME_DIRECTORY': give 'staging', or the URL of an authority's directory, https://..." ;;
esac
# What the certificate is for. Another wish is another certificate, not a renewal.
wish="$server ${ACME_PROFILE:-} $names"

# Usage: call run | renew: lego, on a copy of its files
call() {
  _command=$1
  # lego calls its files by the first name.
  set --
  for _name in $names; do set -- "$@" --domains "$_name"; done
  [ -z "${HTTPS_MAIL:-}" ] || set -- "$@" --email "$HTTPS_MAIL"
  set -- "$@" "$_command"
  [ -z "${ACME_PROFILE:-}" ] || set -- "$@" --profile "$ACME_PROFILE"
  # When the authority says so (ARI), or a third of the lifetime is left, of 10 days and less the half.
  [ "$_command" = run ] || set -- "$@" --dynamic --no-random-sleep
  # Beside this shell, which then hears a signal at once.
  timeout "$LIMIT_S" lego --server "$server" --accept-tos --pem --path "$PWD/lego.next" --http --http.webroot "$PWD/challenges" "$@" \
    > /tmp/lego.log 2>&1 &
  child=$!
  wait "$child"
}

# One attempt. What lego leaves counts if it has ended by itself; killed in the middle, it may leave half a file.
attempt() {
  rm -rf lego.next challenges
  mkdir challenges
  if [ -d lego ]; then cp -R lego lego.next; else mkdir lego.next; fi
  status=0
  if [ "$(cat lego.next/wish 2> /dev/null)" = "$wish" ]; then
    call renew || status=$?
  else
    rm -rf lego.next/certificates lego.next/wish
    say "asking $server for a certificate for $names"
    call run || status=$?
    [ $status != 0 ] || [ -s "lego.next/certificates/$first.pem" ] || status=1
    [ $status != 0 ] || echo "$wish" > lego.next/wish
  fi
  # The authority has forgotten the account: the next attempt makes another.
  ! grep -q accountDoesNotExist /tmp/lego.log || rm -rf lego.next/accounts lego.next/wish
  [ $status -lt 124 ] || return $status
  rm -rf lego.old
  [ ! -d lego ] || mv lego lego.old
  mv lego.next lego
  rm -rf lego.old
  return $status
}

# Puts a pair in place of NGINX's, unless it is there already. Usage: publish FILE
publish() {
  ! cmp -s "$1" site.pem || return 0
  cat "$1" > site.new
  mv site.new site.pem
  [ "$1" = /placeholder.pem ] || say "a new certificate for $names is in use"
}

# Until so many seconds are over, by the clock, or it was set back, or NGINX's pair is gone.
pause() {
  _began=$(date +%s)
  while [ -s site.pem ] && _since=$(($(date +%s) - _began)) && [ "$_since" -ge 0 ] && [ "$_since" -lt "$1" ]; do
    sleep $(($1 < 5 ? $1 : 5)) &
    child=$!
    wait $child
  done
}

child=''
trap '[ -z "$child" ] || kill "$child" 2> /dev/null; exit 0' TERM INT
umask 077
# Cut off between the two steps that replace it.
[ -d lego ] || [ ! -d lego.old ] || mv lego.old lego

retry=''
while :; do
  [ ! -s "lego/certificates/$first.pem" ] || [ "$(cat lego/wish 2> /dev/null)" != "$wish" ] || publish "lego/certificates/$first.pem"
  [ -s site.pem ] || {
    publish /placeholder.pem
    say "there is no certificate for $names yet: visitors see a self-signed one."
  }
  if attempt; then
    : > /tmp/fresh
    retry=''
    publish "lego/certificates/$first.pem"
    pause "$check"
  else
    rm -f /tmp/fresh
    # 2 minutes, then twice as long each time, to an hour: authorities allow five failures an hour.
    retry=$((${retry:-check / 60} * 2))
    ! grep -q rateLimited /tmp/lego.log || retry=$check
    [ "$retry" -lt "$check" ] || retry=$check
    [ "$retry" -gt 0 ] || retry=1
    grep -vE '\[INFO\]|^$' /tmp/lego.log || true
    say "no certificate from $server, see above and docs/https.md: the next attempt is in $retry s."
    pause "$retry"
  fi
done
