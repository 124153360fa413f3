#!/usr/bin/env bash
# full_disk.sh: the disk of one server fills up under a running cluster: a pair with a witness on
# loopback, in network and mount namespaces of their own, the data directory of server 2 on a small
# file system.
#
# Usage: full_disk.sh
# Checks: the server whose disk is full says so and is silent or ends with a status that is not 0;
# the others go on answering clients; with room again and after a restart it catches up; nothing
# that was acknowledged is missing at any member.
# Environment: LEASEHOLD_BIN, LOAD_BIN (leasehold-load), default: release/ in the target folder;
# KEEP=1 keeps the work folder. Exit status: 0 all checks passed, or nothing could be checked here
# (not root, no namespaces: it says so); 1 a check failed.
set -euo pipefail
cd "$(dirname "$0")"
TARGET=${CARGO_TARGET_DIR:-$PWD/../../target}/release
LEASEHOLD_BIN=${LEASEHOLD_BIN:-$TARGET/leasehold}
LOAD_BIN=${LOAD_BIN:-$TARGET/leasehold-load}

SUITE="full disk"
# shellcheck source=checks.sh
. ./checks.sh
if [ "${1:-}" != inside ]; then
  [ "$(id -u)" = 0 ] || skip "it needs root"
  unshare --mount --net true 2>/dev/null || skip "this machine does not permit namespaces"
  export LEASEHOLD_BIN LOAD_BIN
  # Mounts and loopback are this run's own and end with it.
  exec unshare --mount --net --propagation private "$PWD/$(basename "$0")" inside
fi

ip link set lo up
declare -A pid
load=
take_down() {
  kill -9 "${pid[@]}" $load 2>/dev/null || true
  wait 2>/dev/null || true
  umount "$WORK/m2" 2>/dev/null || true
}
story() { tail -n 8 "$WORK"/*.out "$WORK/errors"; }
work_folder full-disk

get() { curl -fs -o "$WORK/answer" "http://127.0.0.$1:6780/$2"; }
not() { ! "$@"; }
admin() { LEASEHOLD_ADMIN=http://127.0.0.$1:6780 "$LEASEHOLD_BIN" "${@:2}"; }
start() { # NUMBER
  "$LEASEHOLD_BIN" serve --config "$WORK/m$1.toml" >>"$WORK/m$1.out" 2>&1 &
  pid[$1]=$!
  within 30 get "$1" livez
}
acks() { wc -l <"$WORK/acks"; }
more_acks() { [ "$(acks)" -gt "$1" ]; }
gone() { [ ! -e "/proc/$1" ] || [ "$(awk '{ print $3 }' "/proc/$1/stat")" = Z ]; }

for number in 1 2 3; do
  mkdir "$WORK/m$number"
  role=server
  [ $number != 3 ] || role=witness
  {
    printf '[member]\nid = %d\nname = "m%d"\ndata_dir = "%s"\nrole = "%s"\n' \
      $number $number "$WORK/m$number/data" $role
    [ $role = witness ] || printf '[dhcp]\nlisten = ["127.0.0.%d:67"]\nserver_id = "127.0.0.%d"\n' \
      $number $number
    printf '[peer]\nlisten = "127.0.0.%d:6747"\n[admin]\nlisten = "127.0.0.%d:6780"\n' \
      $number $number
  } >"$WORK/m$number.toml"
done
mount -t tmpfs -o size=192m tmpfs "$WORK/m2"
cat >"$WORK/network.toml" <<'CONF'
[[subnet]]
prefix = "10.16.0.0/12"
pools = ["10.16.1.0-10.31.255.0"]
relays = ["127.0.1.1"]
CONF
for number in 1 2 3; do start $number; done
admin 1 cluster init
for number in 2 3; do
  admin $number cluster join --peer 127.0.0.1:6747 --token "$(admin 1 cluster token)"
done
admin 1 config apply "$WORK/network.toml"
for number in 1 2 3; do within 60 get $number readyz; done

"$LOAD_BIN" run --server 127.0.0.1:67 --server 127.0.0.2:67 --relay 127.0.1.1:67 --rate 300 \
  --duration 600s --retransmit 100ms --linger 10s --outstanding 5000 --acks "$WORK/acks" \
  >"$WORK/load.out" 2>&1 &
load=$!
check "clients are served" within 30 more_acks 500

# All that is left of it, to the last octet: what remains of a half-written block goes too.
dd if=/dev/zero of="$WORK/m2/filler" bs=64k 2>/dev/null || true
dd if=/dev/zero of="$WORK/m2/filler2" bs=1 2>/dev/null || true
silent_or_gone() { gone "${pid[2]}" || not get 2 readyz; }
check "the server whose disk is full serves no more" within 60 silent_or_gone
said() { grep -q 'replication_failed.*No space' "$WORK/m2.out"; }
check "it says why" within 10 said
if gone "${pid[2]}"; then
  status=0
  wait "${pid[2]}" || status=$?
  echo "      it ended with status $status"
  check "its end is no success" test $status != 0
fi
check "the others are ready" within 30 eval 'get 1 readyz && get 3 readyz'
check "clients are served by the others" within 30 more_acks $(($(acks) + 2000))

rm "$WORK/m2/filler" "$WORK/m2/filler2"
gone "${pid[2]}" || kill -9 "${pid[2]}"
wait "${pid[2]}" 2>/dev/null || true
check "with room again it starts" start 2
check "it catches up and serves" within 60 get 2 readyz
check "clients are served" within 30 more_acks $(($(acks) + 500))

kill $load
wait $load || true
level() {
  local number index=
  for number in 1 2 3; do
    index+=" $(curl -fs "http://127.0.0.$number:6780/metrics" |
      sed -n 's/^leasehold_raft_applied_index //p')"
  done
  set -- $index
  [ $# = 3 ] && [ "$1" = "$2" ] && [ "$2" = "$3" ]
}
check "all members have applied the same" within 60 level
for number in 1 2 3; do
  admin $number lease list --output json >"$WORK/leases$number"
  check "nothing acknowledged is missing at m$number" \
    "$LOAD_BIN" check --acks "$WORK/acks" --leases "$WORK/leases$number"
done
