#!/bin/sh
# Writes what only the running container knows to /tmp (nginx.conf includes it), then becomes NGINX.
set -eu

# Docker shows this machine's own requests under the gateway's address. The kernel lists it in hexadecimal, last byte
# first: 0100A8C0 is 192.168.0.1.
gateway=
while read -r _ destination hex _; do
  [ "$destination" = 00000000 ] || continue
  d=${hex%??????} hex=${hex#??}
  c=${hex%????} hex=${hex#??}
  gateway=$(printf '%d.%d.%d.%d' "0x${hex#??}" "0x${hex%??}" "0x$c" "0x$d")
done < /proc/net/route

proxies=$(printf %s "${TRUSTED_PROXIES:-}" | tr ',' ' ')
for proxy in $proxies; do
  case "$proxy" in *[!0-9a-fA-F.:/]*)
    echo "TRUSTED_PROXIES holds '$proxy': give addresses and ranges, such as 10.0.0.7 or 10.0.0.0/24."
    exit 1
    ;;
  esac
done
case "${MAX_BODY_SIZE:=1m}" in
*[!0-9kKmMgG]* | [!0-9]* | *[kKmMgG]?*)
  echo "MAX_BODY_SIZE is '$MAX_BODY_SIZE': give a number of bytes, or one with k, m or g, such as 20m."
  exit 1
  ;;
esac
echo "client_max_body_size $MAX_BODY_SIZE;" > /tmp/limits.conf
wait=${POSTGRES_WAIT_MS:-5000}
case "$wait" in *[!0-9]* | 0* | ???????*)
  echo "POSTGRES_WAIT_MS is '$wait': give a number of milliseconds, such as 5000."
  exit 1
  ;;
esac
[ "$wait" -ge 1000 ] || wait=1000
echo "proxy_read_timeout $((wait - 100))ms;" > /tmp/patience.conf

# compose/observability.yml lays over it what status reads, and the page that it serves.
: > /tmp/observe-http.conf
: > /tmp/observe-server.conf
if [ "${OBSERVABILITY:-}" = on ]; then
  cp /etc/nginx/observe-http.conf /etc/nginx/observe-server.conf /tmp/
  # status empties it, as another user.
  (umask 0 && : >> /run/edge-log/access.log)
fi

# Without compose/https.yml, nothing.
: > /tmp/https.conf
: > /tmp/https-server.conf
if [ -n "${HTTPS_PORT:-}" ]; then
  case "$HTTPS_PORT" in *[!0-9]*)
    echo "HTTPS_PORT is '$HTTPS_PORT': give a port, such as 443."
    exit 1
    ;;
  esac
  case "${HTTPS_HSTS:=0}" in *[!0-9]*)
    echo "HTTPS_HSTS is '$HTTPS_HSTS': give a number of seconds, such as 31536000 for a year."
    exit 1
    ;;
  esac
  {
    # Of 443 an address says nothing.
    echo "map '' \$https_port { default '$([ "$HTTPS_PORT" = 443 ] || echo ":$HTTPS_PORT")'; }"
    echo "map '' \$hsts { default '$([ "$HTTPS_HSTS" = 0 ] || echo "max-age=$HTTPS_HSTS")'; }"
    echo 'include /etc/nginx/https.conf;'
  } > /tmp/https.conf
  echo 'include /etc/nginx/https-server.conf;' > /tmp/https-server.conf
  # Before a deploy. Port 80 would send visitors to 443, which has nothing to show.
  if [ "${1:-}" = -t ] && [ ! -s /certificates/site.pem ]; then
    echo 'there is no certificate yet: ./stack up gets one.'
    exit 1
  fi
fi

# Usage: geo SOURCE NAME ADDRESS...
geo() {
  printf 'geo %s %s {\n  default 0;\n' "$1" "$2"
  shift 2
  for address; do printf '  %s 1;\n' "$address"; done
  echo '}'
}
# Each word is an address.
# shellcheck disable=SC2086
{
  for proxy in $proxies; do echo "set_real_ip_from $proxy;"; done
  geo \$realip_remote_addr \$peer_is_proxy $proxies
  geo \$remote_addr \$client_is_proxy $proxies
  geo \$remote_addr \$client_is_host $gateway
} > /tmp/peers.conf

# In place of this shell, so that NGINX gets the signals. `docker compose run nginx -t` tries the configuration.
exec nginx -g 'daemon off;' "$@"
