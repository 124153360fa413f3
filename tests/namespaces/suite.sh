#!/usr/bin/env bash
# suite.sh: real peers that we did not write, in network namespaces of their own: udhcpc, dhclient
# and dhcpcd behind ISC dhcrelay (which adds option 82), tshark as an independent dissector.
#
# Usage: suite.sh [leasehold|kea|isc]     (default leasehold: a pair with a witness)
#   The peers' servers are there to test the test: the checks that they can pass must pass.
# Checks: every client gets an address of the pool through the relay agent; the server sees option
# 82 and echoes it, the client does not see it; then, with new clients coming at 200 a second, the
# leader is killed with SIGKILL: every real client renews, by unicast, and keeps its address; every
# member lists every lease with its option 82 and no promise made to the new clients is missing;
# leasequeries in every dialect over UDP are answered by both servers and tshark reads the replies; a
# released address is no longer active.
# Environment: LEASEHOLD_BIN, LOAD_BIN (leasehold-load), default: release/ in the target folder;
# KEEP=1 keeps the work folder. Exit status: 0 all checks passed, or nothing could be checked here
# (not root, no namespaces: it says so); 1 a check failed.
set -euo pipefail
cd "$(dirname "$0")"
DRIVER=${1:-leasehold}
TARGET=${CARGO_TARGET_DIR:-$PWD/../../target}/release
export LEASEHOLD_BIN=${LEASEHOLD_BIN:-$TARGET/leasehold}
LOAD_BIN=${LOAD_BIN:-$TARGET/leasehold-load}
export LAB=lhsuite$$ LEASE=${LEASE:-20}
case $DRIVER in leasehold) export MODE=witness ;; kea) export MODE=hot-standby ;; *) export MODE=single ;; esac

SUITE="network-namespace suite ($DRIVER)"
# shellcheck source=clients.sh
. ./clients.sh
server() { "servers/$DRIVER.sh" "$@"; }
story() { tail -n 5 "$STATE"/*.out "$WORK/relay.log" "$WORK/errors"; }
prepare_lab suite
./lab.sh up
server fresh
mapfile -t targets <"$STATE/targets"

capture relay eth0 servers
capture load eth0 load
for place in client1 client2 client3; do capture "$place" eth0 "$place"; done

start_relay "${targets[@]}"

clients=(udhcpc dhclient dhcpcd)
declare -A before
for number in 1 2 3; do start_client client$number "${clients[number - 1]}" 12 10.16.0.1; done
for number in 1 2 3; do
  place=client$number client=${clients[number - 1]}
  check "$client gets an address" within 20 events $place 'bound|reboot'
  before[$place]=$(address_of $place)
  check "$client's address ${before[$place]} is of the pool" \
    grep -qE '^10\.(1[6-9]|2[0-9]|3[01])\.' <<<"${before[$place]}"
done
check "the relay agent's requests carry giaddr and option 82" within 5 sees servers \
  'dhcp.option.dhcp == 3 && dhcp.ip.relay == 10.16.0.1 && dhcp.option.type == 82'
check "replies to the relay agent echo option 82" within 5 sees servers \
  'dhcp.option.dhcp == 5 && dhcp.ip.relay == 10.16.0.1 && dhcp.option.type == 82'

# asks_about_device SERVER CLIENT TEXT: the answer about that client's access device begins so
asks_about_device() {
  inside load "$LOAD_BIN" ask --server "$1:67" --relay 10.16.0.3:67 --remote-id "$2" |
    tee -a "$WORK/asked" | grep -q "^$3"
}

load=
if [ "$DRIVER" = leasehold ]; then
  mapfile -t to < <(printf -- '--server\n%s:67\n' "${targets[@]}")
  ip netns exec "$LAB-load" "$LOAD_BIN" run "${to[@]}" --relay 10.16.0.2:67 --rate 200 \
    --outstanding 5000 --retransmit 100ms --duration $((LEASE * 2))s --linger 10s \
    --acks "$WORK/acks" >"$WORK/load.json" 2>"$WORK/load.log" &
  load=$!
  within 10 sh -c "[ \$(cat '$WORK/acks' 2>/dev/null | wc -l) -gt 200 ]"
fi

moment=$(date +%s.%N)
victim=
if [ "$DRIVER" = leasehold ]; then
  victim=$(server leader)
  server kill "$victim"
  echo "      the leader, $victim, was killed"
fi
for number in 1 2 3; do
  place=client$number client=${clients[number - 1]}
  check "$client renews" within $((LEASE * 2)) events $place 'renew|rebind' "$moment"
  check "$client keeps its address" [ "$(address_of $place)" = "${before[$place]}" ]
  check "$client sees no option 82" sh -c "! tshark -r '$WORK/$place.pcap' \
    -Y 'dhcp.option.dhcp == 5 && dhcp.option.type == 82' 2>/dev/null | grep -q ."
done
check "a renewal by unicast was answered" within 5 sees servers \
  'dhcp.option.dhcp == 5 && dhcp.ip.relay == 0.0.0.0 && dhcp.ip.client != 0.0.0.0'

if [ "$DRIVER" = leasehold ]; then
  members=(server1 server2 witness)
  wait "$load"
  check "every new client was served" jq -e '.unfinished == 0 and .duplicates == 0' "$WORK/load.json"
  server again "$victim"
  server ready
  lists=()
  for member in "${members[@]}"; do
    server admin "$member" lease list --output json >"$WORK/$member.json"
    lists+=(--leases "$WORK/$member.json")
    for number in 1 2 3; do
      # dhcrelay's circuit identifier is the name of the clients' interface: eth1.
      # shellcheck disable=SC2016 # $ip is jq's.
      check "$member lists ${clients[number - 1]}'s lease with option 82" jq -e --arg ip \
        "${before[client$number]}" 'map(select(.ip == $ip and .state == "active"
          and .circuit_id == "65746831")) | length == 1' "$WORK/$member.json"
    done
  done
  check "no promise is missing on any member" \
    "$LOAD_BIN" check --acks "$WORK/acks" "${lists[@]}"
  for target in "${targets[@]}"; do
    for number in 1 2 3; do
      inside load "$LOAD_BIN" ask --server "$target:67" --relay 10.16.0.3:67 \
        --ip "${before[client$number]}" >>"$WORK/asked" || true
      check "tshark reads $target's leasequery reply about ${clients[number - 1]}" within 5 sees \
        load "dhcp.option.dhcp == 13 && ip.src == $target &&
          dhcp.ip.client == ${before[client$number]} && dhcp.option.ip_address_lease_time &&
          dhcp.option.client_last_transaction_time && dhcp.option.type == 82"
    done
    # The draft before RFC 4388: DHCPKNOWN, under the number that is configured by default.
    inside load "$LOAD_BIN" ask --server "$target:67" --relay 10.16.0.3:67 --draft \
      --ip "${before[client1]}" >>"$WORK/asked" || true
    check "tshark reads $target's DHCPKNOWN" within 5 sees load "dhcp.option.dhcp == 234 &&
      ip.src == $target && dhcp.ip.client == ${before[client1]} && dhcp.option.type == 82 &&
      dhcp.option.ip_address_lease_time && dhcp.option.client_last_transaction_time"
    # RFC 6148: about a client that the generator plays (its leases of before have ended), and about
    # one that never was.
    inside load "$LOAD_BIN" run "${to[@]}" --relay 10.16.0.2:67 --count 1 --first-client 5000000 \
      --retransmit 100ms --linger 10s >>"$WORK/asked"
    within 10 asks_about_device "$target" 5000000 'type 13' || true
    asks_about_device "$target" 4000000 'type 12' || true
    check "tshark reads $target's reply about a device" within 5 sees load \
      "dhcp.option.dhcp == 13 && ip.src == $target && dhcp.hw.mac_addr == 02:5a:00:4c:4b:40 &&
        dhcp.option.agent_information_option.agent_remote_id == 02:5b:00:4c:4b:40"
    check "tshark reads $target's echo of a device that is unknown" within 5 sees load \
      "dhcp.option.dhcp == 12 && ip.src == $target &&
        dhcp.option.agent_information_option.agent_remote_id == 02:5b:00:3d:09:00"
  done
  readable servers load
fi

for number in 1 2 3; do
  place=client$number client=${clients[number - 1]}
  # Less than what a lease renewed in time has left: it is the release that ends it.
  release $place "$client"
  check "$client's address is no longer active after its release" \
    within $((LEASE / 4)) released $place
  check "$client's release arrived" within 5 sees servers \
    "dhcp.option.dhcp == 7 && dhcp.ip.client == ${before[$place]}"
done
