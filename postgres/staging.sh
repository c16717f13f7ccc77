# shellcheck shell=sh disable=SC2034
# Data that is prepared beside the data in use, by a server that nothing else reaches; sourced after volume.sh.

SAVED=$VOLUME/saved.sql.gz
LIMIT=${RESTORE_TIMEOUT:-3600} # seconds for a recovery
LOG=/tmp/restore.log
# What roles.sql and after-restore.sql read by current_setting().
export PGOPTIONS="-c stack.role=${APPLICATION_ROLE:-} -c stack.owner=${POSTGRES_USER:-}"
export PGHOST=/tmp

refuse() {
  printf '%s\n' "$*" >&2
  exit 1
}

version=$(major_version)

# Starts a server that only this script reaches, and waits until it is done with recovery. No standby follows it, so none is waited for,
# whatever the data's own settings say. Usage: start DIRECTORY "option..."
start() {
  printf 'local all all trust\n' > /tmp/hba.conf
  pg_ctl --pgdata "$1" --log "$LOG" --wait --timeout "$LIMIT" --silent start \
    --options "-c listen_addresses= -c port=${PGPORT:-5432} -c synchronous_standby_names= -c unix_socket_directories=/tmp -c hba_file=/tmp/hba.conf ${2:-}" > /tmp/pg_ctl 2>&1 || return 1
  # pg_ctl takes a server that recovers for one that is ready.
  _tries=$((LIMIT * 5))
  until run_sql --dbname postgres --command ''; do
    [ -e "$1/postmaster.pid" ] || return 1
    grep -qE 'starting up|not (yet )?accepting connections|recovery' /tmp/psql || return 1
    if [ $((_tries -= 1)) -le 0 ]; then
      echo "FATAL: it takes longer than $LIMIT s: raise RESTORE_TIMEOUT" >> "$LOG"
      return 1
    fi
    sleep 0.2
  done
}
# Why the server does not start.
cause() { { sed -n "s/.*FATAL: *//p" "$LOG" | tail -n 1 && cat /tmp/psql /tmp/pg_ctl; } 2> /dev/null | grep -m 1 .; }
stop() { pg_ctl --pgdata "$1" --wait --timeout 300 --mode fast --silent stop; }
run_sql() { psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 "$@" > /dev/null 2> /tmp/psql; }

# What failed leaves nothing behind.
clean_up() {
  status=$?
  [ $status = 0 ] || {
    pg_ctl --pgdata "$STAGED" --silent --mode immediate stop 2> /dev/null || true
    rm -rf "$STAGED" "$SAVED"
  }
  exit $status
}
stage() {
  [ ! -e "$FORMER" ] || refuse 'an earlier restore still waits for its end: ./stack restore --confirm, or --undo.'
  rm -rf "$STAGED"
  trap clean_up EXIT
  trap 'exit 130' INT TERM HUP
}

# An empty cluster, as the image's own entrypoint makes it.
stage_cluster() {
  stage
  # The arguments are words.
  # shellcheck disable=SC2086
  initdb --pgdata "$STAGED" --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS > "$LOG" 2>&1 ||
    refuse "initdb failed: $(tail -n 1 "$LOG")"
  printf '\nhost all all all scram-sha-256\n' >> "$STAGED/pg_hba.conf"
  printf "\nlisten_addresses = '*'\n" >> "$STAGED/postgresql.conf"
  gzip -dc > "$STAGED/dump.sql" 2> /tmp/gzip || refuse "it is not whole: $(grep -m 1 . /tmp/gzip)"
  [ "$(tail -n 1 "$STAGED/dump.sql")" = '-- whole' ] || refuse 'it is not whole, or no dump of ./stack backup --dump.'
  start "$STAGED" || refuse "Postgres does not start: $(cause)"
}
# Usage: load DATABASE [psql option...]
load() {
  run_sql --dbname "$@" --file "$STAGED/dump.sql" || refuse "Postgres $version cannot read it: $(grep -m 1 'ERROR' /tmp/psql)"
  rm "$STAGED/dump.sql"
}
