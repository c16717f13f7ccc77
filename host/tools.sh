# shellcheck shell=sh
# What the tests and the benchmark need besides Docker; sourced by ./stack.

# A package of the Debian family that a task needs. Usage: ensure_package NAME "what for" "where others find it"
ensure_package() {
  may_install "$2: the package $1 will be installed." || die "$2: install it, $3"
  busy "Installing $1" sh -c "apt-get update && apt-get install --yes --no-install-recommends $1"
}

# A command that a task needs. Usage: ensure_command COMMAND PACKAGE "what for" "where others find it"
ensure_command() { PATH=$PATH:/sbin:/usr/sbin command -v "$1" > /dev/null || ensure_package "$2" "$3" "$4"; }

# Node and npm for the tests: the host's own, or those of the base image.
ensure_node() {
  # The tests run on the Node of node_modules, whichever Node installs it. It is linked to a library that minimal systems
  # lack. Before npm ci, whose install scripts may run that Node already.
  [ "$(uname)" != Linux ] || PATH=$PATH:/sbin ldconfig -p | grep -q libatomic.so.1 ||
    ensure_package libatomic1 'Node needs libatomic.so.1' 'in your distribution: libatomic1 or libatomic'
  node_version=$(node --version 2> /dev/null | tr -d v || true)
  if [ -n "$node_version" ] && at_least "$node_version" 20 && command -v npm > /dev/null; then return 0; fi
  if ! [ -x .cache/node/bin/node ]; then
    may_install "There is no Node here. The tests will use the one of the base image, copied to .cache/node." ||
      die 'the tests need Node 20 or newer with npm: install it, https://nodejs.org/en/download'
    container=$(docker create "$(base_image NODE)")
    rm -rf .cache/node .cache/node.new
    mkdir -p .cache
    docker cp -q "$container:/usr/local" .cache/node.new || die 'Node could not be copied: see above.'
    docker rm "$container" > /dev/null
    # Renamed when it is whole: a copy that was cut off must not be taken for one.
    mv .cache/node.new .cache/node
  fi
  PATH=$PWD/.cache/node/bin:$PATH
  # For a package mirror with an authority of its own, which the host trusts.
  [ -n "${NODE_EXTRA_CA_CERTS:-}" ] || ! [ -f /etc/ssl/certs/ca-certificates.crt ] ||
    export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
}

ensure_packages() {
  # Empty: node_modules is there, and no older than the lockfile.
  [ -n "$(find package-lock.json -newer node_modules/.package-lock.json 2>&1)" ] || return 0
  busy 'Installing the npm packages' npm ci --no-audit --no-fund
}

ensure_shellcheck() { ensure_command shellcheck shellcheck 'The tests check the shell scripts with shellcheck' https://www.shellcheck.net; }

# The tests start a second engine in a network of its own.
ensure_ip() {
  [ "$(uname)" != Linux ] || ensure_command ip iproute2 'The tests need the command ip' 'in your distribution: iproute2'
}

# The tests kill scripts of ./stack in the middle.
ensure_pgrep() { ensure_command pgrep procps 'The tests need the command pgrep' 'in your distribution: procps'; }

ensure_wrk() { ensure_command wrk wrk 'The benchmark loads the stack with wrk' https://github.com/wg/wrk; }

# The tests read the status page in it.
ensure_chromium() { ensure_command chromium chromium 'The tests of the status page run in Chromium' 'in your distribution: chromium'; }

ensure_qemu() {
  [ "$(uname -m)" = x86_64 ] || die "the virtual machine is one of x86_64, and this machine is $(uname -m): run it elsewhere."
  ensure_command qemu-system-x86_64 qemu-system-x86 'The virtual machine runs in qemu' https://www.qemu.org/download
  ensure_command mmdebstrap mmdebstrap "The virtual machine's disk is made with mmdebstrap" 'on Debian or Ubuntu: mmdebstrap'
}
