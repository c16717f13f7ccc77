#!/bin/sh
# Builds stand-ins for the base images from Debian packages and npm packages, for a machine that no image
# registry answers: stand-in/node, stand-in/nginx, stand-in/redis, stand-in/postgres. Needs root, apt and Docker.
# What is here is kept, unless it was made from other files; with --newer all is made anew, from today's packages.
# Usage: host/base-images/build.sh [--newer] [IMAGE...]      IMAGE: more than those four, for what is laid over the stack: lego, prometheus,
#                                                            alertmanager, exporter
set -eu
cd "$(dirname "$0")"
# shellcheck source=host/lib.sh
. ../lib.sh

SUITE=forky
NODE_VERSION=26

make_debian() {
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends mmdebstrap ca-certificates
  mirror=$(debian_mirror)
  tarball=$(mktemp --suffix=.tar)
  # force-unsafe-io: an image that is half written is thrown away, so dpkg need not wait for the disk.
  # No manuals and translations, which a container does not need.
  # The host's certificate authorities come along: a package mirror may present one of its own.
  mmdebstrap --variant=minbase \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='upload /etc/ssl/certs/ca-certificates.crt /etc/host-authorities.crt' \
    $SUITE "$tarball" "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $SUITE main"
  docker import "$tarball" stand-in/debian:$SUITE
  rm "$tarball"
}

id() { docker image inspect --format '{{.Id}}' "$1" 2> /dev/null || true; }

newer=''
[ "${1:-}" != --newer ] || { newer=yes && shift; }
former=$(id stand-in/debian:$SUITE)
if [ -n "$newer" ] || [ -z "$former" ]; then
  busy "Making a minimal Debian ($SUITE)" make_debian
fi

# Builds stand-ins from a folder, unless they were made from the same files and the same Debian. Usage: build FOLDER IMAGE...
build() {
  folder=$1
  shift
  sources=$({
    cat "$folder"/Dockerfile "$folder"/*-entrypoint.sh 2> /dev/null || true
    echo $NODE_VERSION
    id stand-in/debian:$SUITE
  } | cksum | cut -d ' ' -f 1)
  for image; do build_image; done
}

build_image() {
  made_from=$(docker image inspect --format '{{index .Config.Labels "sources"}}' "stand-in/$image" 2> /dev/null || true)
  [ "$made_from" != "$sources" ] || return 0
  former="$former $(id "stand-in/$image")"
  # The packages come over the host's network: its resolver and its routes are known to work.
  busy "Building stand-in/$image" docker build --network host --target "$image" --tag "stand-in/$image" \
    --label "sources=$sources" --build-arg NODE_VERSION=$NODE_VERSION "$folder"
}

build . node nginx redis postgres
for more; do
  case "$more" in
  node | nginx | redis | postgres) ;;
  lego) build lego lego ;;
  *) build observability "$more" ;;
  esac
done
for image in $former; do remove_former "$image"; done
