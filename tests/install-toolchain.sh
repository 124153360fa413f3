#!/usr/bin/env bash
# install-toolchain.sh: makes sure that a Rust toolchain new enough for this workspace is there, with
# clippy and rustfmt. In this order: what is there; rustup, if that is there; Debian's package of it,
# if this release has one; the official installer, if it can be reached.
#
# Usage: install-toolchain.sh
# The version wanted is rust-version in Cargo.toml. What rustup installs is found in ~/.cargo/bin.
# Exit status: 0 cargo is new enough now, 1 it could not be had; the message says what to do.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH"
INSTALLER=https://sh.rustup.rs
WANTED=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)

have() { command -v "$1" >/dev/null; }
say() { echo "install-toolchain.sh: $*" >&2; }
new_enough() {
  have cargo || return 1
  local version
  version=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) || return 1
  [ -n "$version" ] && [ "$(printf '%s\n' "$WANTED" "$version" | sort -V | head -n 1)" = "$WANTED" ]
}

by_rustup() {
  have rustup || return 1
  say "installing Rust's stable toolchain with rustup"
  # A distribution's rustup comes without a default; one that the user chose is left alone unless it
  # is too old.
  rustup toolchain install stable --profile minimal -c clippy,rustfmt >&2 &&
    { new_enough || rustup default stable >&2; }
}

by_package() {
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    have sudo && sudo -n true 2>/dev/null || return 1
    as_root=(sudo -n)
  fi
  have apt-get && have apt-cache || return 1
  # A fresh machine may never have fetched its lists.
  [ -n "$(apt-cache pkgnames rustup 2>/dev/null | grep -x rustup)" ] ||
    "${as_root[@]}" apt-get update >/dev/null 2>&1 || return 1
  apt-cache policy rustup 2>/dev/null | grep -q '^ *Candidate: [0-9]' || return 1
  say "installing Debian's package rustup"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
    install -y --no-install-recommends rustup >/dev/null && by_rustup
}

by_installer() {
  # curl is among what the build wants installed anyway.
  have curl || tests/install-packages.sh build || return 1
  local script
  script=$(mktemp)
  if curl --proto '=https' --tlsv1.2 -sSf --max-time 60 "$INSTALLER" -o "$script"; then
    say "installing rustup and Rust's stable toolchain with $INSTALLER"
    # Another, older Rust may be on the machine; ours stands before it in the PATH.
    RUSTUP_INIT_SKIP_PATH_CHECK=yes sh "$script" -y --no-modify-path --profile minimal \
      --default-toolchain stable -c clippy -c rustfmt >&2
    rm -f "$script"
  else
    rm -f "$script"
    return 1
  fi
}

new_enough && exit 0
by_rustup || by_package || by_installer || true
new_enough && exit 0
say "Rust $WANTED or newer is needed and could not be installed. Install rustup (Debian 13 and newer:"
say "apt-get install rustup; elsewhere https://rustup.rs), then: rustup default stable"
exit 1
