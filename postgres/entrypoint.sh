#!/bin/sh
# Checks the volume, brings the application's role up to date, and hands over to the image's own entrypoint.
# Usage: entrypoint.sh postgres [option...]
set -eu
# Postgres logs to stderr and has no way to say otherwise; this stack logs to stdout.
exec 2>&1
# As process 1 a shell ignores a signal that it has no trap for, and so Docker would kill the server that follows.
trap 'exit 0' INT TERM

# shellcheck source=postgres/volume.sh
. /usr/local/bin/volume.sh
SCRIPTS=/docker-entrypoint-initdb.d

refuse() {
  printf 'postgres does not start: %s\n' "$*"
  exit 1
}

# The official images do not agree on the user's number: 70 on Alpine, 999 on Debian.
for directory in "$VOLUME" "$VOLUME"/[0-9]* "$VOLUME"/[0-9]*/docker; do
  [ ! -d "$directory" ] || [ -w "$directory" ] ||
    refuse "user $(id -u) of this image cannot write the volume, whose $directory belongs to user $(stat -c %u "$directory"). \
Nothing is lost. Hand the volume over: docker compose run --rm --no-deps --user root --cap-add CHOWN --cap-add DAC_READ_SEARCH \
--entrypoint chown postgres -R postgres: $VOLUME"
done

version=$(major_version)
# What `restore.sh switch` has left. A crash between any two of these steps loses nothing: the next start goes on.
if [ -d "$NEXT" ]; then
  if [ "$(cat "$NEXT/PG_VERSION")" = "$version" ]; then
    for held in "$VOLUME"/[0-9]*/docker; do [ ! -d "$held" ] || mv "$held" "$FORMER"; done
    mkdir -p "$(dirname "$PGDATA")"
    mv "$NEXT" "$PGDATA"
    sync
  else
    # An upgrade that was cut off. The data in use may have gone on since.
    rm -rf "$NEXT"
  fi
fi

# Each major version has a directory of its own. An image of another version finds none, and would begin with an empty one.
if [ "$PGDATA" != "$VOLUME/$version/docker" ] || [ ! -s "$PGDATA/PG_VERSION" ]; then
  for held in "$VOLUME/PG_VERSION" "$VOLUME"/*/PG_VERSION "$VOLUME"/*/docker/PG_VERSION; do
    [ ! -s "$held" ] ||
      refuse "the volume holds the data of Postgres $(cat "$held"), and POSTGRES_IMAGE is Postgres $version. Nothing is lost. Set \
POSTGRES_IMAGE to an image of Postgres $(cat "$held"), or upgrade: docs/database.md, 'Upgrade Postgres'."
  done
  [ "$PGDATA" = "$VOLUME/$version/docker" ] ||
    refuse "POSTGRES_IMAGE is Postgres $version, which keeps its data in $PGDATA, outside of the volume: this stack needs \
Postgres 18 or newer. Set POSTGRES_IMAGE, or leave it out."
fi

# They become words of a command and fields of a line, here and in migrate.sh.
case "$POSTGRES_DB$POSTGRES_USER$APPLICATION_ROLE" in *[!A-Za-z0-9_-]*)
  refuse 'a name in docker-compose.yml (x-names) has a character other than letters, digits, _ and -.' ;;
esac
# The one is a superuser, and the other must not be.
[ "$POSTGRES_USER" != "$APPLICATION_ROLE" ] ||
  refuse "owner and role are both $POSTGRES_USER in docker-compose.yml (x-names): give the application a role of its own."

# With it psql and pg_dump work in this container without a question, the health check logs in as the application does, and
# ./stack backup as a role whose password is another one at each start (roles.sql). The container's user can read all of it anyway.
(umask 077 && head -c 24 /dev/urandom | base64 | tr '+/' '-_' > /tmp/backup-password &&
  printf '*:*:*:%s:%s\n' "$POSTGRES_USER" "$(cat "$POSTGRES_PASSWORD_FILE")" \
    "$APPLICATION_ROLE" "$(cat /run/secrets/web/password)" stack_backup "$(cat /tmp/backup-password)" > "$PGPASSFILE")

# compose/backup.yml. A segment is sent off when it is full, or after this time: so much can be lost with the volume.
archive=''
if [ -n "${WAL_ARCHIVE:-}" ]; then
  # Without it, single-user mode would remove segments that the archive does not have yet.
  archive='-c archive_mode=on'
  set -- "$@" -c archive_mode=on -c 'archive_command=archive.sh %p %f' -c "archive_timeout=${WAL_ARCHIVE_TIMEOUT:-60}"
fi

# A name of the volume that docker-compose.yml does not have. Postgres has to be stopped for the command, since it restarts again
# and again, and two that write one volume destroy it.
# Usage: refuse_name KIND HELD CONFIGURED STATEMENT...
refuse_name() {
  kind=$1 held=$2 configured=$3
  shift 3
  refuse "the volume holds the $kind $held, and docker-compose.yml names $configured (x-names). Nothing is lost. Set it back, or rename \
it: docker compose stop postgres && printf '%s\n'$(printf " '%s'" "$@") | docker compose run --rm --no-deps --no-TTY --entrypoint postgres \
postgres --single ${archive:+$archive }template1 > /dev/null && docker compose start postgres"
}

# On an empty volume the image's entrypoint runs roles.sql, by psql. On any other it runs here, in single-user mode, before the
# server starts: no session can interfere, and no password is needed. A crash is recovered from on the way.
names="-c stack.role=$APPLICATION_ROLE -c stack.owner=$POSTGRES_USER"
if [ -s "$PGDATA/PG_VERSION" ]; then
  # The image's entrypoint would leave the password in the server's environment.
  unset POSTGRES_PASSWORD_FILE
  # Names without spaces: three words each.
  # shellcheck disable=SC2086
  if ! said=$(postgres --single -j $archive $names -c exit_on_error=on "$POSTGRES_DB" < "$SCRIPTS/roles.sql" 2>&1 > /dev/null); then
    # Only the error ends with the name: what follows it quotes the statement.
    cause=$(printf '%s\n' "$said" | sed -n 's/.*\(the volume holds the [a-z]* [^ ]*\)$/\1/p; s/.*\(database ".*" does not exist\)$/\1/p' | head -n 1)
    held=${cause##* }
    case "$cause" in
    'the volume holds the owner '*)
      # Nobody can rename the role of their own session.
      refuse_name owner "$held" "$POSTGRES_USER" 'CREATE ROLE renaming SUPERUSER' 'SET SESSION AUTHORIZATION renaming' \
        "ALTER ROLE \"$held\" RENAME TO \"$POSTGRES_USER\"" 'RESET SESSION AUTHORIZATION' 'DROP ROLE renaming'
      ;;
    'the volume holds the role '*)
      refuse_name role "$held" "$APPLICATION_ROLE" "ALTER ROLE \"$held\" RENAME TO \"$APPLICATION_ROLE\""
      ;;
    "database \"$POSTGRES_DB\" does not exist")
      # The oldest is the one that the volume was made with. initdb makes `postgres`, and roles.sql a role that logs in: without that
      # role the preparation did not come to its end.
      # shellcheck disable=SC2086
      held=$(echo "SELECT datname FROM pg_database WHERE NOT datistemplate AND (datname <> 'postgres' OR EXISTS \
(SELECT FROM pg_roles WHERE rolcanlogin AND NOT rolsuper AND NOT rolreplication)) ORDER BY datname = 'postgres', oid LIMIT 1" |
        postgres --single $archive template1 2> /dev/null | sed -n 's/.*datname = "\([^"]*\)".*/\1/p')
      [ -n "$held" ] || refuse "the first start on this volume was cut off before it made the database $POSTGRES_DB. Nothing was in it yet. \
Begin again with an empty one: docker compose down --volumes"
      refuse_name database "$held" "$POSTGRES_DB" "ALTER DATABASE \"$held\" RENAME TO \"$POSTGRES_DB\""
      ;;
    esac
    printf '%s\n' "$said"
    refuse "roles.sql could not be applied to the database $POSTGRES_DB: see above."
  fi
  # What a recovery said.
  [ -z "$said" ] || printf '%s\n' "$said"
fi
# For psql, by which the image's entrypoint runs roles.sql.
export PGOPTIONS="$names"
exec docker-entrypoint.sh "$@"
