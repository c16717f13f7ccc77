# shellcheck shell=sh
# What the scripts of this folder share; sourced by them.

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
