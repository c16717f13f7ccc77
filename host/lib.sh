# shellcheck shell=sh
# What ./stack and the scripts of this folder share; sourced by them, in the folder of docker-compose.yml.

say() { printf '%s\n' "$*" >&2; }
die() {
  say "stack: $*"
  exit 1
}

# A setting of the environment, even if it is empty there, or else of .env, as far as a shell can tell what Compose makes of it.
# Usage: setting NAME
setting() {
  eval "_value=\${$1-unset}"
  [ "$_value" != unset ] || _value=$(sed -n "s/^ *\(export \)\{0,1\}$1=//p" .env 2> /dev/null | tail -n 1 | sed "s/ #.*//; s/[\"' ]//g")
  echo "$_value"
}

# Lays over docker-compose.yml what the settings ask for: for every docker compose from here on.
lay_over() {
  _files=$(setting COMPOSE_FILE) _more=''
  # As Compose itself does.
  [ -n "$_files" ] || _files=docker-compose.yml$([ ! -e docker-compose.override.yml ] || echo :docker-compose.override.yml)
  if [ -n "$(setting HTTPS_CERT_FILE)" ]; then
    _more=:compose/https.yml:compose/https-own.yml
  elif [ -n "$(setting HTTPS_DOMAINS)" ]; then
    _more=:compose/https.yml:compose/https-acme.yml
  fi
  case "$_files" in *compose/https.yml*) _more='' ;; esac
  case "$(setting OBSERVABILITY)" in
  '' | off) ;;
  on) case "$_files" in *compose/observability.yml*) ;; *) _more=$_more:compose/observability.yml ;; esac ;;
  *) die "OBSERVABILITY is '$(setting OBSERVABILITY)': give on or off." ;;
  esac
  [ -z "$_more" ] || export COMPOSE_FILE="$_files$_more"
}
lay_over

# Is version $1 at least $2?
at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# May a script install something here? Then says what, and asks if a person is there to answer.
# Usage: may_install "what for whom"
may_install() {
  command -v apt-get > /dev/null && [ "$(id -u)" = 0 ] || return 1
  say "$1"
  [ -t 0 ] || return 0
  printf 'Go on? [Y/n] ' >&2
  read -r answer
  case "$answer" in [Nn]*) die 'nothing was installed.' ;; esac
}

# Runs a command and shows that it is alive; shows what it wrote only if it fails.
# Usage: busy "What it does" command [argument...]
busy() {
  _what=$1
  shift
  _log=$(mktemp)
  _start=$(date +%s)
  printf '%s ' "$_what" >&2
  "$@" > "$_log" 2>&1 < /dev/null &
  _pid=$!
  while kill -0 $_pid 2> /dev/null; do
    sleep 1
    printf . >&2
  done
  if wait $_pid; then
    printf ' %s s\n' $(($(date +%s) - _start)) >&2
    rm -f "$_log"
  else
    printf ' failed:\n' >&2
    tail -n 30 "$_log" >&2
    rm -f "$_log"
    return 1
  fi
}

# The mirror that this machine's apt uses for Debian.
debian_mirror() {
  # A format of apt's, no variable.
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
    grep -v security | head -n 1 | sed 's,/*$,,' | grep .
}

# Removes an image whose name another one took, unless it has a second name or a container uses it.
# Usage: remove_former ID
remove_former() {
  ! docker image ls --quiet --no-trunc --filter dangling=true | grep -qx "$1" || docker image rm "$1" > /dev/null 2>&1 || true
}

# The project's name, as Compose has it.
project() { docker compose config | sed -n 's/^name: //p'; }

# Before docker-compose.yml named it, the project was called as its folder is. Ends if the count is in a volume of that name.
check_project() {
  # As Compose makes a name of a folder's.
  former=$(basename "$PWD" | tr '[:upper:]' '[:lower:]' | tr -cd 'a-z0-9_-' | sed 's/^[_-]*//')
  docker volume inspect "${former}_data" "${former}_web-password" > /dev/null 2>&1 || return 0
  name=$(project)
  [ "$name" = "$(sed -n 's/^name: //p' docker-compose.yml)" ] || return 0
  ! docker volume inspect "${name}_data" > /dev/null 2>&1 || return 0
  die "this stack was called '$former', and its count is in the volume ${former}_data. To go on with it: echo COMPOSE_PROJECT_NAME=$former >> .env
(To give it up: docker compose --project-name $former down --volumes)"
}

# The base images, as Compose has them from .env, the environment and its defaults: lines of a setting and its image.
base_images() {
  docker compose config | sed -n '/^x-base-images:$/,/^[^ ]/s/^  \([A-Z]*_IMAGE\): /\1 /p'
}
# One of them. Usage: base_image NODE|NGINX|REDIS|POSTGRES
base_image() { base_images | sed -n "s/^$1_IMAGE //p"; }

is_stand_in() { case "$1" in stand-in/*) ;; *) return 1 ;; esac; }

# The settings whose image is a stand-in.
stand_ins() { base_images | sed -n 's, stand-in/.*,,p' | tr '\n' ' '; }

# Sets a setting in .env, in place, so that the file's owner and mode stay. Usage: set_in_env NAME VALUE
set_in_env() {
  _others=$(grep -v "^$1=" .env 2> /dev/null || true)
  {
    [ -z "$_others" ] || printf '%s\n' "$_others"
    echo "$1=$2"
  } > .env
}
