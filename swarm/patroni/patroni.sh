#!/bin/sh
# Runs Patroni, which runs Postgres. MEMBER is its number; the passwords are in /run/secrets.
set -eu
exec 2>&1

# Two tasks on one volume destroy it. A node that was cut off may have an old one and a new one for a while.
exec 9> /var/lib/postgresql/lock
flock --timeout 60 9 || {
  echo 'another task uses the volume of the data: this one ends, and Swarm starts it again.'
  exit 1
}

umask 077
# For pg_dump, pg_basebackup and psql in this container (postgres/backup.sh). `stack_backup` logs in with the replication password.
cp /run/secrets/replication/password /tmp/backup-password
{
  printf '*:*:*:%s:%s\n' "$POSTGRES_USER" "$(cat /run/secrets/postgres/password)" \
    "$APPLICATION_ROLE" "$(cat /run/secrets/web/password)" stack_backup "$(cat /tmp/backup-password)"
} > "$PGPASSFILE"

# The passwords have no characters that YAML would read otherwise: swarm/deploy.sh makes them.
cat > /tmp/patroni.yml << END
name: postgres-$MEMBER
restapi:
  listen: 0.0.0.0:8008
  connect_address: postgres-$MEMBER.back.internal:8008
$(sed -e "s/ OWNER\b/ $POSTGRES_USER/" -e "/^postgresql:/a\\
  connect_address: postgres-$MEMBER.back.internal:5432\\
  data_dir: $PGDATA\\
  bin_dir: $(dirname "$(command -v postgres)")\\
  authentication:\\
    superuser: { username: $POSTGRES_USER, password: '$(cat /run/secrets/postgres/password)' }\\
    replication: { username: replicator, password: '$(cat /run/secrets/replication/password)' }" /etc/patroni/patroni.yml)
END
exec patroni /tmp/patroni.yml
