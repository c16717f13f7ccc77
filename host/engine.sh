#!/bin/sh
# Installs a Docker engine with Compose and Buildx from the distribution's packages, and starts it.
# For the Debian family, as root. Usage: host/engine.sh install | start
set -eu
cd "$(dirname "$0")"
# shellcheck source=host/lib.sh
. ./lib.sh

# Debian 12's own Docker is 20.10, with a Compose of another age. Forky's needs only the glibc of Debian 12, but for
# runc. Of that suite these packages are taken, and updated, and nothing else.
PINNED_SUITE=forky

install_pinned() {
  mirror=$(debian_mirror)
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
    "$mirror" "$PINNED_SUITE" > /etc/apt/sources.list.d/docker-from-$PINNED_SUITE.sources
  packages='docker.io docker-cli containerd docker-compose docker-buildx tini-static'
  printf 'Package: *\nPin: release n=%s\nPin-Priority: -10\n\nPackage: %s\nPin: release n=%s\nPin-Priority: 990\n' \
    "$PINNED_SUITE" "$packages" "$PINNED_SUITE" > /etc/apt/preferences.d/docker-from-$PINNED_SUITE
  apt-get update
  # shellcheck disable=SC2086
  apt-get install --yes --no-install-recommends iptables runc $packages
}

install_own() {
  # Ubuntu calls Compose's plug-in docker-compose-v2.
  compose=docker-compose
  ! apt-cache show docker-compose-v2 > /dev/null 2>&1 || compose=docker-compose-v2
  apt-get install --yes --no-install-recommends iptables docker.io docker-buildx "$compose"
}

install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  # The version that would be installed: "28.5.2+dfsg4-5" -> 28
  major=$(LC_ALL=C apt-cache policy docker.io | sed -n 's/.*Candidate: \([0-9]*\).*/\1/p')
  if [ "${major:-0}" -ge 25 ]; then install_own; else install_pinned; fi
}

start() {
  if [ -d /run/systemd/system ]; then
    systemctl start docker
  else
    # No init system here, so nobody else would start it. It goes on when this script and its terminal are gone.
    setsid dockerd > /var/log/dockerd.log 2>&1 < /dev/null &
  fi
  for _ in $(seq 60); do
    ! docker info > /dev/null 2>&1 || return 0
    sleep 0.5
  done
  echo 'The engine did not answer within 30 s.'
  tail -n 20 /var/log/dockerd.log 2> /dev/null
  return 1
}

case "${1:-}" in
install) busy 'Installing the Docker engine, Compose and Buildx' install ;;
start) busy 'Starting the Docker engine' start ;;
*) echo 'usage: host/engine.sh install | start' >&2 && exit 2 ;;
esac
