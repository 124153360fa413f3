#!/usr/bin/env bash
# run.sh: installs the peers if they are missing, builds, and measures our server beside them.
#
# Usage: run.sh [OPTION...]     options of leasehold-bench; see `leasehold-bench --help`
# Needs root for network namespaces (it asks with sudo). How long that takes: docs/PERFORMANCE.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
tests/install-packages.sh build peers
cargo build --release --locked --package ops --package tests
bench=${CARGO_TARGET_DIR:-target}/release/leasehold-bench
if [ "$(id -u)" = 0 ]; then exec "$bench" "$@"; fi
exec sudo --preserve-env=LEASEHOLD_BIN "$bench" "$@"
