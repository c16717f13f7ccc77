#!/bin/sh
# Finds the Docker engine, or says why none can be used. On the Debian family, as root, `ensure` installs and starts one.
# Usage: host/engine.sh check | ensure
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=host/lib.sh
. host/lib.sh

LEAST_ENGINE=25 # health checks with start_interval
LEAST_COMPOSE=2.25 # up --watch; Debian 13 has 2.26
GUIDE='Docker Engine with Compose and Buildx, https://docs.docker.com/engine/install/'

# Debian 12's own Docker is 20.10, with a Compose of another age. Forky's needs only the glibc of Debian 12, but for
# runc. Of that suite these packages are taken, and updated, and nothing else.
PINNED_SUITE=forky

# Whether an engine answers that this user may use. Ends with the cause and the remedy if installing or starting one here
# would be no help.
answers() {
  command -v docker > /dev/null || return 1
  # The command may be Podman's, or Docker's own may lead to Podman's socket.
  ! { docker --version; docker version; } 2>&1 | grep -qi podman ||
    die "the command docker leads to Podman, which builds and checks health in its own way: install $GUIDE"
  words=$(docker version 2>&1 > /dev/null) && return 0
  words=$(printf %s "$words" | tail -n 1)
  case "$words" in *'permission denied'*)
    die "this user may not use the Docker engine: run ./stack with sudo, or join the group, \`sudo usermod -aG docker $(id -un)\`, and log in again. Docker says: $words"
    ;;
  esac
  [ -z "${DOCKER_HOST:-}" ] ||
    die "no engine answers at DOCKER_HOST=$DOCKER_HOST: start it, or unset the variable. Docker says: $words"
  [ -z "${DOCKER_CONTEXT:-}" ] ||
    die "no engine answers at DOCKER_CONTEXT=$DOCKER_CONTEXT: start it, or unset the variable. Docker says: $words"
  context=$(docker context show 2> /dev/null || true)
  [ "${context:-default}" = default ] ||
    die "no engine answers in Docker's context '$context': start it, or \`docker context use default\`. Docker says: $words"
  ! from_snap || die "the engine of Docker's snap does not answer: \`sudo snap start docker\`. Docker says: $words"
  return 1
}

from_snap() { case "$(command -v docker)" in */snap/*) ;; *) return 1 ;; esac; }

# Whether what answers is new enough.
suits() {
  engine=$(docker version --format '{{.Server.Version}}')
  at_least "$engine" "$LEAST_ENGINE" ||
    die "the Docker engine is $engine, this needs $LEAST_ENGINE or newer: install $GUIDE"
  compose=$(docker compose version --short 2> /dev/null || echo 0)
  at_least "${compose#v}" "$LEAST_COMPOSE" ||
    die "Docker Compose is $compose, this needs $LEAST_COMPOSE or newer: install $GUIDE"
  docker buildx version > /dev/null 2>&1 || die "Docker Buildx is missing: install $GUIDE"
}

# Whether Compose can read this folder, and use its settings.
reads() {
  words=$(docker compose config --quiet 2>&1) && return
  ! from_snap || die "Docker's snap reads no folder but those in \$HOME that are not hidden, and \`$PWD\` is none: move it, or install $GUIDE. Compose says: $words"
  die "Compose cannot use these settings, which .env.example explains. It says: $words"
}

install_pinned() {
  mirror=$(debian_mirror) || {
    echo "The docker.io of this distribution is older than $LEAST_ENGINE, and apt knows no mirror of Debian: install $GUIDE"
    return 1
  }
  # Where apt looks, which its own configuration may change.
  eval "$(apt-config shell sources Dir::Etc::sourceparts/f preferences Dir::Etc::preferencesparts/f)"
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
    "$mirror" "$PINNED_SUITE" > "${sources:?}/docker-from-$PINNED_SUITE.sources"
  packages='docker.io docker-cli containerd docker-compose docker-buildx tini-static'
  printf 'Package: *\nPin: release n=%s\nPin-Priority: -10\n\nPackage: %s\nPin: release n=%s\nPin-Priority: 990\n' \
    "$PINNED_SUITE" "$packages" "$PINNED_SUITE" > "${preferences:?}/docker-from-$PINNED_SUITE"
  apt-get update
  # shellcheck disable=SC2086
  apt-get install --yes --no-install-recommends iptables ca-certificates runc $packages
}

install_own() {
  packages='iptables docker.io docker-buildx'
  # Some Debian suites only recommend the first two, without which there is no docker command and no registry is trusted.
  # Ubuntu has no docker-cli, and calls Compose's plug-in docker-compose-v2.
  for package in ca-certificates docker-cli docker-compose-v2; do
    ! apt-cache show $package > /dev/null 2>&1 || packages="$packages $package"
  done
  case "$packages" in *compose*) ;; *) packages="$packages docker-compose" ;; esac
  # shellcheck disable=SC2086
  apt-get install --yes --no-install-recommends $packages
}

install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  # The version that would be installed: "28.5.2+dfsg4-5" -> 28
  major=$(LC_ALL=C apt-cache policy docker.io | sed -n 's/.*Candidate: \([0-9]*\).*/\1/p')
  if [ "${major:-0}" -ge "$LEAST_ENGINE" ]; then install_own; else install_pinned; fi
}

# Containers go on while the engine restarts. Settings that are there already are their owner's.
keep_serving() {
  [ -e /etc/docker/daemon.json ] || { mkdir -p /etc/docker && cp host/daemon.json /etc/docker/; }
}

start() {
  if [ -d /run/systemd/system ]; then
    systemctl start docker
  else
    # No init system here, so nothing else would start it. It goes on when this script and its terminal are gone.
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

ensure() {
  answers && return
  if ! command -v dockerd > /dev/null; then
    may_install 'There is no Docker engine here. Packages of this distribution will be installed: docker.io, containerd,
runc, iptables, Compose and Buildx (on Debian 12 from the suite forky, pinned so that nothing else comes from there).' ||
      die "no Docker engine answers. Install and start $GUIDE; on the Debian family, ./stack up as root does it."
    # Before the engine is there, because the packages start it.
    keep_serving
    busy 'Installing the Docker engine, Compose and Buildx' install
  fi
  [ "$(id -u)" = 0 ] || die "the Docker engine does not run: \`sudo systemctl start docker\`, or run ./stack with sudo."
  busy 'Starting the Docker engine' start
}

case "${1:-}" in
check)
  answers || die 'no Docker engine answers: ./stack up makes sure of one.'
  reads
  ;;
ensure)
  ensure
  suits
  reads
  ;;
install) install ;;
*) echo 'usage: host/engine.sh check | ensure | install' >&2 && exit 2 ;;
esac
