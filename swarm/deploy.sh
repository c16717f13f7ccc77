#!/bin/sh
# Brings the stack onto the Swarm, or updates it: Postgres first, one member at a time, then migrations, then web and NGINX. A web or
# NGINX that does not get healthy goes back by itself.
# Usage: swarm/deploy.sh
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh
# shellcheck source=ops/lib.sh
. ops/lib.sh
# shellcheck source=swarm/lib.sh
. swarm/lib.sh
# shellcheck source=swarm/objects.sh
. swarm/objects.sh
# shellcheck source=swarm/images.sh
. swarm/images.sh
# shellcheck source=swarm/rollout.sh
. swarm/rollout.sh
# shellcheck source=swarm/stores.sh
. swarm/stores.sh

# Lays a file over the stack, with a secret of what a setting's file holds. Usage: lay FILE SECRET SETTING FILE_OF_SETTING
lay() {
  _secret=$(secret_of "$3" "$2" "$4")
  export "$(upper "$2")_SECRET=$_secret"
  files="$files $1"
}

# Looks at the pair as compose/https-own.yml does, and makes $TMP/site.pem of it.
check_certificate() {
  cp compose/certificate.ts "$TMP/"
  cp "$HTTPS_CERT_FILE" "$TMP/cert.pem" || die 'HTTPS_CERT_FILE cannot be read, see above.'
  cp "$HTTPS_KEY_FILE" "$TMP/key.pem" || die 'HTTPS_KEY_FILE cannot be read, see above.'
  docker run --rm --network none --user root --entrypoint node --env HTTPS_DOMAINS --env HTTPS_CERT_FILE --env HTTPS_KEY_FILE \
    --volume "$TMP:/run" --volume "$TMP:/certificates" "$(base_image NODE)" /run/certificate.ts > "$TMP/check" 2>&1 ||
    die "$(tail -n 1 "$TMP/check")"
}

[ $# = 0 ] || die 'swarm deploy takes no arguments: .env has its settings.'
DEPLOY=$(date -u +%Y%m%dT%H%M%SZ)
export DEPLOY
files=docker-stack server=''
case "$SWARM_POSTGRES" in
three) files="$files postgres" server=patroni ;;
single) files="$files single-postgres" server=postgres ;;
external) lay external-postgres database-url SWARM_DATABASE_URL_FILE "$SWARM_DATABASE_URL_FILE" ;;
*) die "SWARM_POSTGRES is '$SWARM_POSTGRES': give three, single or external." ;;
esac
if [ -z "$SWARM_REDIS_URL_FILE" ]; then files="$files redis"; else lay external-redis redis-url SWARM_REDIS_URL_FILE "$SWARM_REDIS_URL_FILE"; fi
[ -z "$SWARM_CA_FILE" ] || lay authority authority SWARM_CA_FILE "$SWARM_CA_FILE"
# Its directory, or the file itself.
[ ! -f "$RESET_TOKEN_FILE/token" ] || RESET_TOKEN_FILE=$RESET_TOKEN_FILE/token
[ -z "$RESET_TOKEN_FILE" ] || lay reset-token reset-token RESET_TOKEN_FILE "$RESET_TOKEN_FILE"
if [ -n "$HTTPS_CERT_FILE" ]; then
  check_certificate
  lay https certificate HTTPS_CERT_FILE "$TMP/site.pem"
elif [ -n "$HTTPS_DOMAINS" ]; then
  die 'HTTPS_DOMAINS is set, and a Swarm asks no authority: name a certificate in HTTPS_CERT_FILE and HTTPS_KEY_FILE, docs/swarm.md.'
fi
case "$SWARM_ENCRYPTION" in
on) files="$files encryption" ;;
off) ;;
*) die "SWARM_ENCRYPTION is '$SWARM_ENCRYPTION': give on or off." ;;
esac
for name in postgres web replication; do
  [ "$SWARM_POSTGRES" = external ] || held=$(password $name)
  export "$(upper "$name")_PASSWORD_SECRET=${held:-}"
done

step 'Building'
base=$(base_image POSTGRES)
# A stand-in is of Debian, as Patroni's image needs it.
! is_stand_in "$base" || export SWARM_POSTGRES_IMAGE="$base"
# Empty: none.
# shellcheck disable=SC2086
host/build.sh web nginx migrate $server > "$TMP/build" 2>&1 || die "the build failed: $(tail -n 3 "$TMP/build")"
images=''
for service in web nginx migrate $server; do
  image=$(named "$PROJECT-$service")
  export "$(upper "$service")=$image"
  images="$images $image"
done
# A name of its own, as the others have: images of that name are removed when they are old.
docker tag "$(base_image REDIS)" "$PROJECT-redis"
REDIS=$(named "$PROJECT-redis")
export REDIS
step 'Handing out the images'
# Each word is an image.
# shellcheck disable=SC2086
hand_out $images "$REDIS" || die 'a node does not take the images, see above.'
lock 'A deploy'
[ -z "$(remembered restore)" ] || die "a restore was cut off: call it again. ./stack swarm restore $(remembered restore)"
# One does not start on the data of the other.
mode=$(remembered postgres || true)
[ "${mode:-$SWARM_POSTGRES}" = "$SWARM_POSTGRES" ] ||
  die "SWARM_POSTGRES is '$SWARM_POSTGRES', and the data is that of '$mode'. docs/swarm.md says how to move it."

MANAGER_ID=$(swarm info --format '{{.Swarm.NodeID}}')
export MANAGER_ID
set --
for file in $files; do set -- "$@" --compose-file "swarm/$file.yml"; done
docker stack config "$@" > "$TMP/stack.yml" || die 'swarm/*.yml cannot be used, see above.'

step 'Deploying the stores'
if [ -n "$SWARM_REDIS_URL_FILE" ]; then
  swarm service rm "${PROJECT}_redis" > /dev/null 2>&1 || true
else
  apply redis
  await redis
fi
[ "$SWARM_POSTGRES" = external ] || [ -n "$mode" ] || remember postgres "$SWARM_POSTGRES"
case "$SWARM_POSTGRES" in
three) deploy_three ;;
single) deploy_single ;;
esac
if [ "$SWARM_POSTGRES" != external ]; then
  step 'Migrating'
  # Of a deploy that was cut off: a job runs once.
  swarm service rm "${PROJECT}_migrate" > /dev/null 2>&1 || true
  apply migrate
  await_job migrate
fi
step 'Deploying web and NGINX'
apply web nginx
await web nginx
spread web
remove_former_secrets
# shellcheck disable=SC2086
remove_former_images $images "$REDIS"
say "The stack serves at port $HTTP_PORT of every node${HTTPS_DOMAINS:+, and with HTTPS at port $HTTPS_PORT}."
