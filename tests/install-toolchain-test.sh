#!/usr/bin/env bash
# install-toolchain-test.sh: what install-toolchain.sh does on machines that are not this one. Every
# command that matters is a script of ours here, which notes how it was called.
#
# Exit status: 0 every case came out as expected, 1 not.
set -euo pipefail
cd "$(dirname "$0")"
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
failed=0

# stub NAME [LINE...]: a command of the machine. It notes its call, then does what the lines say.
stub() {
  local path=$MACHINE/bin/$1
  { echo '#!/bin/sh' && echo "echo \"$1 \$*\" >>$MACHINE/calls" && printf '%s\n' "${@:2}"; } >"$path"
  chmod +x "$path"
}
cargo() { printf '#!/bin/sh\necho "cargo %s (abc 2026-01-01)"\n' "$1" >"$MACHINE/bin/cargo"
  chmod +x "$MACHINE/bin/cargo"; }
# What brings a cargo that is new enough: done to the machine while the script runs.
BRINGS_CARGO='printf "#!/bin/sh\necho cargo 1.96.0\n" >$(dirname "$0")/cargo; chmod +x $(dirname "$0")/cargo'
rustup() { stub rustup "case \$1 in toolchain) $BRINGS_CARGO ;; esac"; }
root() { stub id 'echo 0'; }
user() { stub id 'echo 1000'; }
apt() { # CANDIDATE
  stub apt-cache "case \$1 in policy) echo '  Candidate: $1' ;; pkgnames) echo rustup ;; esac"
  # The package brings rustup: the same script that a machine with rustup has.
  rustup && mv "$MACHINE/bin/rustup" "$MACHINE/packaged"
  stub apt-get "case \"\$*\" in *install*) cp $MACHINE/packaged $MACHINE/bin/rustup ;; esac"
}
online() { stub curl "for last; do :; done; echo '$BRINGS_CARGO' | sed 's|\$(dirname \"\$0\")|$MACHINE/bin|g' >\"\$last\""; }
offline() { stub curl 'exit 7'; }

# check WHAT STATUS CALLS SETUP...: runs the script on a machine that the setup made. CALLS is a
# pattern that all calls together must match, in their order.
check() {
  local what=$1 status=$2 calls=$3 got=0 tool
  MACHINE=$WORK/machine
  rm -rf "$MACHINE" && mkdir -p "$MACHINE/bin" "$MACHINE/home" && : >"$MACHINE/calls"
  for tool in bash sh sed sort head cut grep mktemp rm cp chmod dirname env cat; do
    ln -s "$(command -v "$tool")" "$MACHINE/bin/$tool"
  done
  root
  for step in "${@:4}"; do $step; done
  env -i HOME="$MACHINE/home" PATH="$MACHINE/bin" ./install-toolchain.sh 2>"$MACHINE/said" || got=$?
  local made
  made=$(grep -v '^id ' "$MACHINE/calls" | tr '\n' ';' || true)
  if [ $got = "$status" ] && [[ $made =~ ^$calls$ ]]; then
    return
  fi
  failed=1
  echo "FAIL $what: status $got, calls: $made" >&2
  cat "$MACHINE/said" >&2
}

RUSTUP='rustup toolchain install stable --profile minimal -c clippy,rustfmt;'
check "new enough" 0 '' "cargo 1.90.0" rustup online
check "newer" 0 '' "cargo 1.100.1"
check "rustup with an old toolchain" 0 "$RUSTUP" "cargo 1.75.0" rustup
check "Debian's old cargo, Debian's rustup" 0 "apt-cache .*apt-get .*install .*rustup;$RUSTUP" \
  "cargo 1.65.0" "apt 1.27.1-3" offline
check "nothing, a package to be had" 0 "apt-cache .*apt-get .*install .*rustup;$RUSTUP" "apt 1.27.1-3"
check "nothing, no such package" 0 "apt-cache .*curl .*https://sh.rustup.rs.*;" "apt (none)" online
check "nothing, a user without sudo" 0 "curl .*;" user "apt 1.27.1-3" online
check "no apt" 0 "curl .*;" online
check "nothing to be had" 1 "apt-cache .*curl .*;" "apt (none)" offline
check "not even curl" 1 ""
grep -q 'rustup default stable' "$MACHINE/said" || { echo "FAIL: no advice given" >&2; failed=1; }
exit $failed
