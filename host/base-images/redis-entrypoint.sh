#!/bin/sh
# The official image's contract: options alone mean redis-server, and root steps down to redis.
set -eu
case "${1:-}" in -*) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ]; then
  # Reachable by other containers without a password, as the official image is built.
  set -- "$@" --protected-mode no
  [ "$(id -u)" != 0 ] || exec setpriv --reuid=redis --regid=redis --clear-groups "$0" "$@"
fi
exec "$@"
