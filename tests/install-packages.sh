#!/usr/bin/env bash
# install-packages.sh: installs, from Debian's own packages, what the build and the tests need
# and this machine lacks. No service of any of them is started.
#
# Usage: install-packages.sh [build] [peers]      (neither named: both)
#   build  what compiling the workspace needs beside the Rust toolchain (RocksDB: clang, libclang)
#   peers  what the network-namespace suite and the bench run: DHCP clients, relays and servers
#          that we did not write, a dissector, and the network tools
# Run by a user who is not root it uses sudo, and says what to do where there is none.
# Exit status: 0 everything named is installed, 1 something is missing and could not be had.
set -euo pipefail

BUILD=(build-essential pkg-config clang libclang-dev curl ca-certificates)
PEERS=(iproute2 nftables ethtool procps socat jq tcpdump tshark isc-dhcp-relay isc-dhcp-client udhcpc
  dhcpcd-base systemd isc-dhcp-server kea-dhcp4-server kea-admin kea-common knot knot-dnsutils)

[ $# -gt 0 ] || set -- build peers
wanted=()
for group in "$@"; do
  case $group in
    build) wanted+=("${BUILD[@]}") ;;
    peers) wanted+=("${PEERS[@]}") ;;
    *) sed -n '2,/^set -eu/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2 ;;
  esac
done

installed() { [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" = "ii " ]; }

missing=()
for package in "${wanted[@]}"; do installed "$package" || missing+=("$package"); done
[ ${#missing[@]} -gt 0 ] || exit 0
echo "install-packages.sh: installing ${missing[*]}" >&2

command -v apt-get >/dev/null || {
  echo "install-packages.sh: no apt-get here; install by hand: ${missing[*]}" >&2
  exit 1
}
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || {
    echo "install-packages.sh: run as root: apt-get install ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi

# A DHCP server that Debian starts on installation would answer on the machine's real network:
# a policy-rc.d that forbids every start stands while apt works, unless the machine has its own.
policy=/usr/sbin/policy-rc.d
if ! [ -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
  "${as_root[@]}" chmod 755 $policy
  trap '"${as_root[@]}" rm -f $policy' EXIT
fi
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300
  install -y --no-install-recommends "${missing[@]}")
"${install[@]}" >/dev/null 2>&1 || {
  "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update >/dev/null
  "${install[@]}"
}
