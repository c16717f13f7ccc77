#!/bin/sh
# Makes the disk, the kernel and the initial RAM disk of a virtual machine with systemd and Docker, from Debian packages. Needs
# root and apt. What is in .cache/machine is kept, unless this script or the engine's settings have changed.
# Usage: test/counter/machine/disk.sh
set -eu
cd "$(dirname "$0")/../../.."
# shellcheck source=host/lib.sh
. host/lib.sh

SUITE=forky
SIZE=8G # of the disk, which is sparse: a third of it is used
THIS=test/counter/machine/disk.sh
NEW=.cache/machine.new

# qemu-guest-agent runs the commands that the host sends.
PACKAGES=systemd-sysv,udev,dbus,linux-image-cloud-amd64,initramfs-tools,e2fsprogs,qemu-guest-agent
PACKAGES=$PACKAGES,docker.io,docker-cli,docker-compose,containerd,runc,tini-static,iptables,apparmor

# mmdebstrap calls this script again when the packages are installed. Usage: disk.sh customize ROOT
customize() {
  mkdir -p "$1/etc/docker"
  cp host/daemon.json "$1/etc/docker/daemon.json"
  echo machine > "$1/etc/hostname"
  # The address to which qemu's user-mode network forwards.
  printf '[Match]\nName=en* eth*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n' > "$1/etc/systemd/network/en.network"
  chroot "$1" systemctl --quiet enable systemd-networkd docker
  # An emulated processor takes half a minute to load apparmor's profiles. Docker loads its own.
  chroot "$1" systemctl --quiet mask apparmor apt-daily.timer apt-daily-upgrade.timer systemd-logind getty@tty1
  cp "$1"/boot/vmlinuz-* $NEW/vmlinuz
  cp "$1"/boot/initrd.img-* $NEW/initrd
}

make_disk() {
  mirror=$(debian_mirror) &&
    mmdebstrap --variant=minbase --include=$PACKAGES \
      --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Languages "none"' \
      --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
      --dpkgopt='path-exclude=/usr/share/locale/*' --customize-hook="$THIS customize \"\$1\"" \
      $SUITE $NEW/root "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $SUITE main" &&
    mke2fs -q -t ext4 -d $NEW/root $NEW/disk.raw $SIZE &&
    rm -rf $NEW/root
}

if [ "${1:-}" = customize ]; then
  customize "$2"
  exit
fi
sources=$(cat $THIS host/daemon.json | cksum)
[ "$(cat .cache/machine/sources 2> /dev/null)" != "$sources" ] || exit 0
rm -rf .cache/machine $NEW
mkdir -p $NEW
busy "Making a virtual machine of Debian ($SUITE)" make_disk ||
  die "the disk of the virtual machine cannot be made, see above. It needs root, and a mirror of Debian that apt can reach."
echo "$sources" > $NEW/sources
# Renamed when it is whole: a disk that was cut off must not be taken for one.
mv $NEW .cache/machine
