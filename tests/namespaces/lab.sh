#!/usr/bin/env bash
# lab.sh: a network of network namespaces for servers, a relay agent and clients. Nothing of it
# touches the machine's own network.
#
# Usage: lab.sh up | down | run PLACE COMMAND... | pids PLACE
#   up    makes the namespaces; a lab of the same name that is still there is taken down first
#   down  ends, by process id, what still runs inside them and deletes them
#   run   becomes COMMAND inside PLACE: server1 server2 witness relay load
#         client1 client2 client3 switch, and those of DIRECT
#   pids  the processes inside PLACE
#   plug PLACE INTERFACE BRIDGE   a cable more; what deletes the interface takes the cable away
# Environment: LAB (default lhlab), the prefix of the namespaces' names: two labs can stand side
# by side. DIRECT (default none): places on a link of the servers' own:
#
#   server1 192.0.2.1/24 --+
#   server2 192.0.2.2/24 --+-- bridge "servers"
#   witness 192.0.2.3/24 --+
#   relay   192.0.2.20/24 -+
#   load    192.0.2.21/24 -+   and 10.16.0.2 to .5 (/32): relay agents that a generator plays
#   relay   10.16.0.1/12 --+-- bridge "clients"
#   client1 no address ----+   (client2, client3 likewise)
#
#   server1 192.0.3.1/24 (eth1) --+
#   server2 192.0.3.2/24 (eth1) --+-- bridge "links"
#   each of DIRECT, no address ---+
# Servers reach 10.16.0.2 to .5 through 192.0.2.21, the rest of 10.16.0.0/12 through 192.0.2.20, which reaches 192.0.3.1 and .2 through the
# servers. The interface of every place is eth0; the relay's towards the clients is eth1.
set -euo pipefail
LAB=${LAB:-lhlab}
CLIENTS=(client1 client2 client3)
read -ra DIRECT <<<"${DIRECT:-}"
PLACES=(server1 server2 witness relay load "${CLIENTS[@]}" "${DIRECT[@]}")

inside() { ip netns exec "$LAB-$1" "${@:2}"; }
exists() { ip netns list | grep -q "^$LAB-$1\b"; }

# plug PLACE INTERFACE BRIDGE: a cable from PLACE to a bridge of the switch
plug() {
  ip link add "$1-$2" netns "$LAB-switch" type veth peer name "$2" netns "$LAB-$1"
  inside switch ip link set "$1-$2" master "$3" up
  inside "$1" ip link set "$2" up
}

up() {
  down
  local place
  for place in switch "${PLACES[@]}"; do
    ip netns add "$LAB-$place"
    inside "$place" ip link set lo up
  done
  for bridge in servers clients; do
    inside switch ip link add "$bridge" type bridge
    inside switch ip link set "$bridge" up
  done
  for place in server1 server2 witness relay load; do plug "$place" eth0 servers; done
  plug relay eth1 clients
  for place in "${CLIENTS[@]}"; do plug "$place" eth0 clients; done
  inside server1 ip addr add 192.0.2.1/24 dev eth0
  inside server2 ip addr add 192.0.2.2/24 dev eth0
  inside witness ip addr add 192.0.2.3/24 dev eth0
  inside relay ip addr add 192.0.2.20/24 dev eth0
  inside relay ip addr add 10.16.0.1/12 dev eth1
  inside load ip addr add 192.0.2.21/24 dev eth0
  for host in 2 3 4 5; do inside load ip addr add "10.16.0.$host/32" dev eth0; done
  for place in server1 server2 witness; do
    inside "$place" ip route add 10.16.0.0/12 via 192.0.2.20
    inside "$place" ip route add 10.16.0.2/31 via 192.0.2.21
    inside "$place" ip route add 10.16.0.4/31 via 192.0.2.21
  done
  inside relay sysctl -qw net.ipv4.ip_forward=1
  if [ ${#DIRECT[@]} != 0 ]; then
    inside switch ip link add links type bridge
    inside switch ip link set links up
    for number in 1 2; do
      plug "server$number" eth1 links
      inside "server$number" ip addr add "192.0.3.$number/24" dev eth1
      inside relay ip route add "192.0.3.$number" via "192.0.2.$number"
    done
    for place in "${DIRECT[@]}"; do plug "$place" eth0 links; done
  fi
  # Real clients read raw frames, checksums included: they must be finished when they arrive.
  for place in "${CLIENTS[@]}"; do
    inside "$place" ethtool -K eth0 tx off >/dev/null 2>&1 || true
  done
  inside relay ethtool -K eth1 tx off >/dev/null 2>&1 || true
}

down() {
  local place pid
  for place in "${PLACES[@]}" switch; do
    exists "$place" || continue
    for pid in $(ip netns pids "$LAB-$place"); do kill -9 "$pid" 2>/dev/null || true; done
    ip netns del "$LAB-$place"
  done
}

case "${1:-}" in
  up) up ;;
  down) down ;;
  run) exec ip netns exec "$LAB-$2" "${@:3}" ;;
  plug) plug "$2" "$3" "$4" ;;
  pids) ip netns pids "$LAB-$2" ;;
  *)
    sed -n '2,/^set -eu/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2
    exit 2
    ;;
esac
