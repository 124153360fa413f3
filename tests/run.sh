#!/usr/bin/env bash
# run.sh: every test that CI runs, in the order in which a fault is found soonest.
#
# Usage: run.sh [packages] [build] [lint] [unit] [conformance] [abuse] [cluster]
#        [namespaces] [availability]   (none: all)
#   packages     installs what is missing (install-packages.sh)
#   build        the whole workspace, release
#   lint         formatting and clippy, without warnings; cargo-deny where it is installed
#   unit         unit, contract, tidy and simulation tests of every crate
#   conformance  black box by RFC section, one member on loopback
#   abuse        junk, floods and readers that stop, against one member on loopback
#   cluster      real processes on loopback, killed and restarted
#   namespaces   real DHCP clients, directly and behind a relay agent, and a dissector in network
#                namespaces, and a disk that fills up; as root (sudo where that asks for no password), else skipped with a notice
#   availability real processes in network namespaces under load, while members are killed, hung, cut
#                off, split, and their clocks and disks fail; as root as above. LEASEHOLD_LONG=1 adds
#                what takes long
# Exit status: 0 all passed (or skipped with a notice), else that of what failed.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- packages build lint unit conformance abuse cluster namespaces \
  availability

# Debian's packages for the peers are wanted only where their suite can run.
may_be_root() { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }

for part in "$@"; do
  echo "== $part"
  case $part in
    packages)
      tests/install-packages.sh build
      if may_be_root; then tests/install-packages.sh peers; fi
      ;;
    build) cargo build --release --workspace --locked ;;
    lint)
      cargo fmt --all --check
      cargo clippy --release --workspace --all-targets --locked -- -D warnings
      # Advisories are not among it: they come from the network and change from one day to the next.
      if command -v cargo-deny >/dev/null; then
        cargo deny check licenses bans sources
      else
        echo "SKIPPED cargo deny: it is not installed (cargo install cargo-deny --locked)" >&2
      fi
      ;;
    unit)
      tests/install-toolchain-test.sh
      cargo test --release --workspace --locked --exclude tests
      cargo test --release --package tests --locked --lib --bins
      for target in tests/tidy tests/simulation; do
        [ ! -e "$target/main.rs" ] ||
          cargo test --release --package tests --locked --test "$(basename "$target")"
      done
      ;;
    conformance | abuse | cluster) cargo test --release --package tests --locked --test "$part" ;;
    namespaces)
      if [ "$(id -u)" = 0 ]; then
        as_root=()
      elif may_be_root; then
        as_root=(sudo -n --preserve-env=CARGO_TARGET_DIR,LEASEHOLD_BIN,LOAD_BIN)
      else
        echo "SKIPPED network-namespace suite: it needs root" >&2
        continue
      fi
      "${as_root[@]}" tests/namespaces/suite.sh
      "${as_root[@]}" tests/namespaces/direct.sh
      "${as_root[@]}" tests/namespaces/full_disk.sh
      ;;
    availability)
      if [ "$(id -u)" != 0 ] && may_be_root; then
        # cargo stays this user's; the tests run as root.
        runner=CARGO_TARGET_$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')_RUNNER
        export "$runner"="sudo -n --preserve-env=LEASEHOLD_BIN,LEASEHOLD_KEEP,LEASEHOLD_LONG"
      fi
      cargo test --release --package tests --locked --test availability
      ;;
    *)
      sed -n '2,/^set -eu/p' tests/run.sh | sed '$d; s/^# \{0,1\}//' >&2
      exit 2
      ;;
  esac
done
