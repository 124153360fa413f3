#!/usr/bin/env bash
# failover.sh: hits one server of each group under load (SIGKILL, SIGSTOP, cable out), ours and the
# peers', and prints how long clients went unserved and what was lost: a line of JSON a hit, then a
# table.
#
# Usage: failover.sh [OPTION...]   more options of leasehold-bench, such as
#        --failover 3              how often each
#        --failover-of leasehold-pair,leasehold-pair-witness
# Needs root as run.sh does; a hit takes one to two minutes.
set -euo pipefail
exec "$(dirname "$0")/run.sh" --measure none --bindings 0 --leasequery 0 --failover 1 "$@"
