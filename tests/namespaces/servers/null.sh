#!/usr/bin/env bash
# null.sh: a responder that keeps nothing (leasehold-load nullserver), in the lab: what the load
# generator reaches against it is the most it can show of any server.
#
# Verbs: see driver.sh. Settings: LOAD_BIN (default: release/leasehold-load in the target folder).
set -euo pipefail
# shellcheck source=driver.sh
. "$(dirname "$0")/driver.sh"
LOAD_BIN=${LOAD_BIN:-${CARGO_TARGET_DIR:-$(dirname "$0")/../../../target}/release/leasehold-load}

names() { echo server1; }
launch() { exec ip netns exec "$LAB-$1" "$LOAD_BIN" nullserver --listen "$(address "$1"):67"; }
is_ready() { inside server1 ss -uln | grep -q ':67 '; }
leases() { :; }

drive "$@"
