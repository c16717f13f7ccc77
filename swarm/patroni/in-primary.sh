#!/bin/sh
# Is the primary in this container? Then runs a command; ends with 3 otherwise. Usage: in-primary.sh COMMAND [argument...]
set -eu
curl --noproxy '*' --silent --fail --output /dev/null --max-time 3 http://127.0.0.1:8008/primary || exit 3
exec "$@"
