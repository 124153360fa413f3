#!/usr/bin/env bash
# direct.sh: clients on a link of the servers' own, in network namespaces: udhcpc, dhclient, dhcpcd,
# systemd-networkd and a PXE client's packets, with two servers on the link; systemd-networkd and PXE
# through ISC dhcrelay too (the others do that in suite.sh).
#
# Usage: direct.sh
# Checks: every client gets an address of the link's subnet, from one server, by a frame to its hardware
# address if it can take one; renews by unicast; keeps its address when its server is killed (rebinding)
# and when it starts again or loses its carrier for a moment (INIT-REBOOT); a released address is no longer active. An
# address where somebody answers a ping is not offered but put into quarantine. A server
# whose interface is deleted, made again, or comes only after the start serves it without a restart and says
# so. tshark finds nothing wrong with the replies, their checksums included.
# Environment: LEASEHOLD_BIN, default: release/ in the target folder; KEEP=1 keeps the work folder.
# Exit status: 0 all checks passed, or nothing could be checked here (not root, no namespaces: it says
# so); 1 a check failed.
set -euo pipefail
cd "$(dirname "$0")"
export LEASEHOLD_BIN=${LEASEHOLD_BIN:-${CARGO_TARGET_DIR:-$PWD/../../target}/release/leasehold}
export LAB=lhdirect$$ LEASE=${LEASE:-20} MODE=witness INTERFACE=eth1
CLIENTS="direct1 direct2 direct3 direct4 direct5"
export DIRECT="$CLIENTS squatter"
SUITE="direct clients"
# shellcheck source=clients.sh
. ./clients.sh
server() { servers/leasehold.sh "$@"; }
story() { tail -n 5 "$STATE"/*.out "$WORK"/direct*.out "$WORK/errors"; }
prepare_lab direct
export NETWORK_MORE=$WORK/network_more.toml

cat >"$NETWORK_MORE" <<'CONF'

[boot]
next_server = "192.0.3.9"
file = "boot/netboot.efi"

[[subnet]]
prefix = "192.0.3.0/24"
pools = ["192.0.3.100-192.0.3.200"]
options = { routers = ["192.0.3.20"] }
clients = { ping_check = "300ms" }
CONF
./lab.sh up
# Clients remember the hardware address of their server: as with a real card it is that of before.
label() { inside "$1" ip link set eth1 address "02:00:00:00:03:0${1#server}"; } # SERVER
for number in 1 2; do label server$number; done
# Two addresses of every three are somebody's who never asked for them.
inside squatter ip addr add 192.0.3.99/24 dev eth0
for number in {100..200}; do
  [ $((number % 3)) = 0 ] || inside squatter ip addr add "192.0.3.$number/32" dev eth0
done
server fresh
mapfile -t targets <"$STATE/targets"
for number in 1 2; do capture server$number eth1 server$number; done
for place in $CLIENTS client1 client2; do capture "$place" eth0 "$place"; done

serving() { # SERVER 0|1: what it says of its interface
  inside "$1" curl -fs -o "$WORK/metrics" http://127.0.0.1:6780/metrics &&
    grep -qxF "leasehold_dhcp_interface_serving{interface=\"eth1\"} $2" "$WORK/metrics"
}
for number in 1 2; do check "server$number serves eth1" within 10 serving server$number 1; done

clients=(udhcpc dhclient dhcpcd networkd)
declare -A before
for number in 1 2 3 4; do
  start_client direct$number "${clients[number - 1]}" 24 192.0.3.20
done
for number in 1 2 3 4; do
  place=direct$number client=${clients[number - 1]}
  check "$client gets an address" within 20 events $place 'bound|reboot'
  before[$place]=$(address_of $place)
  check "$client's address ${before[$place]} is of the link's pool" \
    grep -qE '^192\.0\.3\.(1[0-9][0-9]|200)$' <<<"${before[$place]}"
  one_server() {
    [ "$(tshark -r "$WORK/$place.pcap" -Y 'dhcp.option.dhcp == 2' -T fields \
      -e dhcp.option.dhcp_server_id 2>/dev/null | sort -u | wc -l)" = 1 ]
  }
  check "one server offers to $client" within 5 one_server
  check "the offer to $client comes to its hardware address" within 5 sees $place 'dhcp.option.dhcp == 2 &&
    eth.dst == dhcp.hw.mac_addr && ip.dst == dhcp.ip.your && dhcp.flags.bc == 0'
done
# The addresses in use that were found on the way: in quarantine, and nobody got one.
not_taken() { [ $((${before[$1]##*.} % 3)) = 0 ]; }
for number in 1 2 3 4; do
  check "${clients[number - 1]}'s address is nobody else's" not_taken direct$number
done
quarantined() {
  server admin server1 lease list --output json >"$WORK/list.json" &&
    jq -e 'map(select(.state == "declined" and (.ip | startswith("192.0.3.")))) | length > 0 and
      all(.[]; (.ip | split(".")[3] | tonumber) % 3 != 0)' "$WORK/list.json"
}
check "addresses that are in use are in quarantine" within 5 quarantined
answered() {
  inside "$1" curl -fs -o "$WORK/metrics" http://127.0.0.1:6780/metrics &&
    grep -q '^leasehold_dhcp_probes_total{result="answered"} [1-9]' "$WORK/metrics"
}
check "a server tells of them" eval 'answered server1 || answered server2'
check "an event names them" eval 'grep -q "address_in_use.*192\.0\.3\..*quarantined=true" "$STATE"/server[12].out'
moment=$(date +%s.%N)
for number in 1 2 3 4; do
  check "${clients[number - 1]} renews" within "$LEASE" events direct$number renew "$moment"
done

# A PXE client: options 60, 93, 94 and 97 as the PXE specification 2.1 and RFC 4578 have them, every reply by broadcast.
hex() { printf '%02x' "$@"; }
mac_of() { inside "$1" cat /sys/class/net/eth0/address | tr -d :; }
pxe() { # PLACE TYPE [OPTIONS IN HEX]: the message of this type
  local mac zeros class
  mac=$(mac_of "$1")
  zeros=$(printf '%0384d' 0)
  class=$(printf 'PXEClient:Arch:00007:UNDI:003016' | od -An -v -tx1 | tr -d ' \n')
  # op htype hlen hops, xid, secs, flags, ciaddr yiaddr siaddr giaddr, chaddr, sname and file
  printf '%s' "01010600$(hex 0x50 0x58 0x45 "${1: -1}")00008000${zeros:0:32}$mac${zeros:0:20}$zeros" \
    "63825363" "3501$2" "390204ec" "37070103064243803c" "5d02" "0007" "5e03010310" \
    "6111" "00${mac}${mac}00112233" "3c$(hex $((${#class} / 2)))$class" "${3:-}" "ff" | tr -d ' ' |
    sed 's/../\\x&/g' >"$WORK/pxe"
  # shellcheck disable=SC2059 # The file is the format.
  printf "$(cat "$WORK/pxe")" | inside "$1" socat -u - \
    UDP4-DATAGRAM:255.255.255.255:67,bind=:68,broadcast,so-bindtodevice=eth0
}
field() { # PLACE TYPE FIELD: of the newest reply of this type to the PXE client
  tshark -r "$WORK/$1.pcap" -Y "dhcp.option.dhcp == $2 && dhcp.id == 0x505845$(hex "${1: -1}")" \
    -T fields -e "$3" 2>/dev/null | tail -n 1
}
address_in_hex() { # ADDRESS
  local octets
  IFS=. read -ra octets <<<"$1"
  hex "${octets[@]}"
}
boots() { # PLACE TEXT
  local place=$1 address server
  pxe "$place" 01
  check "a PXE client $2 is offered an address and told from where to boot" within 5 sees "$place" \
    'dhcp.option.dhcp == 2 && dhcp.ip.server == 192.0.3.9 && dhcp.file == "boot/netboot.efi" && ip.dst == 255.255.255.255'
  address=$(field "$place" 2 dhcp.ip.your)
  server=$(field "$place" 2 dhcp.option.dhcp_server_id)
  pxe "$place" 03 "3204$(address_in_hex "$address")3604$(address_in_hex "$server")"
  check "a PXE client $2 gets it" within 5 sees "$place" "dhcp.option.dhcp == 5 &&
    dhcp.ip.your == $address && dhcp.option.dhcp_server_id == $server && dhcp.file == \"boot/netboot.efi\""
}
boots direct5 "on the link"

start_relay "${targets[@]}"
boots client1 "behind the relay agent"
start_client client2 networkd 12 10.16.0.1
check "networkd behind the relay agent gets an address" within 20 events client2 bound
check "networkd behind the relay agent renews" within "$LEASE" events client2 'renew|rebind'

# Only the clients remember; they ask whether it is still theirs.
reboot() { # PLACE CLIENT
  case $2 in
    networkd)
      inside switch ip link set "$1-eth0" down
      within 5 sh -c "! ip netns exec $LAB-$1 ip -br link show eth0 | grep -q LOWER_UP"
      inside switch ip link set "$1-eth0" up
      ;;
    *)
      kill -KILL "${pid[$1]}"
      wait "${pid[$1]}" 2>/dev/null || true
      inside "$1" ip addr flush dev eth0
      rm -f "$WORK/$1.pid"
      start_client "$1" "$2" 24 192.0.3.20
      ;;
  esac
}
for number in 2 3 4; do
  place=direct$number client=${clients[number - 1]} moment=$(date +%s.%N)
  reboot $place "$client"
  check "$client starts again with its address" within 15 events $place reboot "$moment"
  check "$client has the same address" [ "$(address_of $place)" = "${before[$place]}" ]
  check "the server confirms it" within 5 sees $place "dhcp.option.dhcp == 5 && dhcp.ip.your == ${before[$place]}"
done

victim=$(server leader)
[ "$victim" != witness ] || victim=server1
survivor=server$((3 - ${victim#server}))
moment=$(date +%s.%N)
server kill "$victim"
inside "$victim" ip link del eth1
echo "      $victim was killed, and its interface deleted"
for number in 1 2 3 4; do
  place=direct$number client=${clients[number - 1]}
  check "$client renews or rebinds" within $((LEASE * 2)) events $place 'renew|rebind' "$moment"
  check "$client keeps its address" [ "$(address_of $place)" = "${before[$place]}" ]
done

server again "$victim"
check "$victim starts without its interface" server ready
check "$victim says that eth1 is not served" serving "$victim" 0
plug() { # SERVER
  ./lab.sh plug "$1" eth1 links
  label "$1"
  inside "$1" ip addr add "192.0.3.${1#server}/24" dev eth1
}
plug "$victim"
check "$victim serves eth1 once it is there" within 10 serving "$victim" 1
# For a moment no address, no interface, and another number: each is followed.
inside "$victim" ip addr flush dev eth1
check "$victim does not serve eth1 without an address" within 10 serving "$victim" 0
inside "$victim" ip link del eth1
plug "$victim"
check "$victim serves the eth1 that was made again" within 10 serving "$victim" 1
inside "$survivor" ip link set eth1 down
check "$survivor does not serve an eth1 that is down" within 10 serving "$survivor" 0
before[direct5]=$(field direct5 5 dhcp.ip.your)
start_client direct5 udhcpc 24 192.0.3.20
check "a new client is served by $victim alone" within 30 events direct5 bound
inside "$survivor" ip link set eth1 up
check "$survivor serves eth1 again" within 10 serving "$survivor" 1

for number in 1 2 3 4; do
  place=direct$number client=${clients[number - 1]}
  within "$LEASE" events $place renew "$(date +%s.%N)" || true
  release $place "$client"
  check "$client's address is no longer active after its release" within $((LEASE / 4)) released $place
done

# shellcheck disable=SC2086 # Several words are wanted.
readable server1 server2 $CLIENTS client1 client2
# The kernel leaves checksums of its own datagrams to the card; offers on the link are ours alone.
for place in $CLIENTS; do
  check "the checksums of offers are right ($place)" sh -c "! tshark -r '$WORK/$place.pcap' \
    -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE -Y 'dhcp.option.dhcp == 2 &&
    (ip.checksum.status == 0 || udp.checksum.status == 0)' 2>/dev/null | grep -q ."
done
