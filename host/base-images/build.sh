#!/bin/sh
# Builds stand-ins for the four base images from Debian packages and npm packages, for a machine that no image
# registry answers: stand-in/node, stand-in/nginx, stand-in/redis, stand-in/postgres. Needs root, apt and Docker.
# Usage: host/base-images/build.sh
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
  # No manuals and translations: nobody reads them in a container.
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

if ! docker image inspect stand-in/debian:$SUITE > /dev/null 2>&1; then
  busy "Making a minimal Debian ($SUITE)" make_debian
fi

# What an image was made from: one that is here and up to date is not built again.
sources=$(cat ./* ../lib.sh | cksum | cut -d ' ' -f 1)
for image in node nginx redis postgres; do
  made_from=$(docker image inspect --format '{{index .Config.Labels "sources"}}' stand-in/$image 2> /dev/null || true)
  [ "$made_from" != "$sources" ] || continue
  # The packages come over the host's network: its resolver and its routes are known to work.
  busy "Building stand-in/$image" docker build --network host --target $image --tag stand-in/$image \
    --label "sources=$sources" --build-arg NODE_VERSION=$NODE_VERSION .
done
