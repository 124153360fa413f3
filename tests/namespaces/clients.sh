# clients.sh: what the suites with real clients share; sourced by them, not run.
#
# Before: SUITE, LAB; later `server`, which takes what servers/*.sh take, and `before`, by place the address
# that a client had. It gives what checks.sh gives, and: prepare_lab, inside, capture, sees, readable,
# start_relay, start_client, events, address_of, release, released; mine (processes to end), pid (by
# place), STATE (the servers' folder).
# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # $0 is the inner shell's; who sources it uses the rest.
# shellcheck source=checks.sh
. ./checks.sh
inside() { ip netns exec "$LAB-$1" "${@:2}"; }
mine=()
declare -A pid

# prepare_lab NAME: the folders and programs of a suite, or the suite is skipped; the network is lab.sh's
prepare_lab() {
  [ "$(id -u)" = 0 ] || skip "it needs root"
  { ip netns add "$LAB-probe" && ip netns exec "$LAB-probe" true; } 2>/dev/null ||
    skip "this machine does not permit network namespaces"
  ip netns del "$LAB-probe"
  ../install-packages.sh peers
  work_folder "$1"
  export STATE=$WORK/servers
  mkdir -p "$STATE"
}
take_down() {
  [ ${#mine[@]} = 0 ] || kill "${mine[@]}" 2>/dev/null || true
  [ ${#mine[@]} = 0 ] || wait "${mine[@]}" 2>/dev/null || true
  server stop >/dev/null 2>&1 || true
  ./lab.sh down
}

capture() { # PLACE INTERFACE FILE
  ip netns exec "$LAB-$1" tcpdump -U -ni "$2" -w "$WORK/$3.pcap" 'udp port 67 or udp port 68' \
    >/dev/null 2>"$WORK/$3.log" &
  mine+=($!)
  within 5 grep -qs 'listening on' "$WORK/$3.log"
}
# sees CAPTURE FILTER: tshark finds such a packet
sees() { [ -n "$(tshark -r "$WORK/$1.pcap" -Y "$2" 2>/dev/null | head -n 1)" ]; }
# readable CAPTURE...: tshark finds nothing wrong with them
readable() {
  local file
  for file in "$@"; do
    check "no reply is malformed to tshark ($file)" sh -c \
      "! tshark -r '$WORK/$file.pcap' -Y 'dhcp && _ws.malformed' 2>/dev/null | grep -q ."
  done
}

# start_relay SERVER...: ISC dhcrelay, which adds option 82, between the clients' link and the servers
start_relay() {
  ip netns exec "$LAB-relay" dhcrelay -4 -d -a -id eth1 -iu eth0 "$@" >"$WORK/relay.log" 2>&1 &
  mine+=($!)
  within 10 sh -c "ip netns exec $LAB-relay ss -uln | grep -q ':67 '"
}

# One script for all clients that take one: it reports, and puts the address on the interface. udhcpc
# passes the event as $1 and $ip; the others pass $reason and $new_ip_address. Beside the file of
# events is one with the length of the prefix and the router.
write_client_script() {
  cat >"$WORK/script" <<'SCRIPT'
#!/bin/sh
event=$(echo "${reason:-$1}" | tr A-Z a-z)
address=${new_ip_address:-$ip}
echo "$(date +%s.%N) $event $address" >>"$CLIENT_EVENTS"
read -r prefix router <"$CLIENT_EVENTS.link"
case $event in
  bound | renew | rebind | reboot)
    ip addr replace "$address/$prefix" dev "$interface"
    ip route replace default via "$router" dev "$interface"
    ;;
esac
exit 0
SCRIPT
  chmod +x "$WORK/script"
}

# systemd-networkd tells its story in its log only: the same events from it.
networkd_events() { # FILE
  local kind=bound address='' line
  while read -r line; do
    case $line in
      *'REQUEST (requesting)'*) kind=bound ;;
      *'REQUEST (renewing)'*) kind=renew ;;
      *'REQUEST (rebinding)'*) kind=rebind ;;
      *'REQUEST (init-reboot)'*) kind=reboot ;;
      *'DHCPv4 address '*'acquired from '*)
        address=${line#*DHCPv4 address }
        address=${address%%/*}
        echo "$EPOCHREALTIME $kind $address" >>"$1"
        ;;
      *'DHCPv4 client: ACK'*)
        [ -z "$address" ] || echo "$EPOCHREALTIME $kind $address" >>"$1"
        ;;
    esac
  done
}

# start_client PLACE PROGRAM PREFIX_LEN ROUTER: a client on eth0; after a kill it starts with what it remembers
start_client() {
  local events=$WORK/$1.events run=(ip netns exec "$LAB-$1") lasting=$WORK/$1.lasting
  [ -e "$WORK/script" ] || write_client_script
  mkdir -p "$lasting"
  echo "$3 $4" >"$events.link"
  touch "$events"
  # exec: the process id must be the client's own.
  case $2 in
    udhcpc) exec env CLIENT_EVENTS="$events" "${run[@]}" \
      udhcpc -f -R -i eth0 -t 10 -T 1 -s "$WORK/script" >"$WORK/$1.out" 2>&1 & ;;
    dhclient) exec "${run[@]}" dhclient -4 -d -v -lf "$lasting/leases" -pf "$WORK/$1.pid" \
      -cf /dev/null -sf "$WORK/script" -e CLIENT_EVENTS="$events" eth0 >"$WORK/$1.out" 2>&1 & ;;
    # Its control socket and lease folder are one for the machine: a mount namespace gives it others.
    dhcpcd) exec "${run[@]}" unshare -m sh -c 'mount -t tmpfs tmpfs /run &&
      mkdir -p /var/lib/dhcpcd && mount --bind "$0" /var/lib/dhcpcd && exec "$@"' "$lasting" \
      dhcpcd -4 -B -d -A --noipv4ll -f /dev/null -c "$WORK/script" -e CLIENT_EVENTS="$events" eth0 \
      >"$WORK/$1.out" 2>&1 & ;;
    # Without systemd as the first process and without D-Bus it is an ordinary daemon; /sys is
    # read-only so that it does not wait for udev.
    networkd)
      cat >"$lasting/eth0.network" <<'CONF'
[Match]
Name=eth0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
SendRelease=yes
CONF
      exec "${run[@]}" unshare -m sh -c 'mount -t tmpfs tmpfs /run && cd /run &&
        mkdir -p systemd/network systemd/netif/leases systemd/netif/links systemd/netif/lldp &&
        cp "$0/eth0.network" systemd/network/ && chown -R systemd-network systemd/netif &&
        mount -o remount,ro,bind /sys && export SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console &&
        exec /lib/systemd/systemd-networkd' "$lasting" \
        > >(tee "$WORK/$1.out" | networkd_events "$events") 2>&1 &
      ;;
  esac
  pid[$1]=$!
  mine+=($!)
}
# events PLACE EVENTS [AFTER]: has the client reported one of these since that moment?
events() { awk -v wanted="^($2)\$" -v after="${3:-0}" '$1 > after && $2 ~ wanted { found = 1 }
  END { exit !found }' "$WORK/$1.events"; }
address_of() { awk '$3 != "" { address = $3 } END { print address }' "$WORK/$1.events"; }

release() { # PLACE PROGRAM
  case $2 in
    udhcpc) kill -USR2 "${pid[$1]}" ;;
    dhclient) inside "$1" dhclient -4 -r -lf "$WORK/$1.lasting/leases" -pf "$WORK/$1.pid" -cf /dev/null \
      -sf "$WORK/script" -e CLIENT_EVENTS="$WORK/$1.events" eth0 >/dev/null 2>&1 || true ;;
    # A signal that comes while it waits for its script gets lost.
    dhcpcd) within 4 sh -c "kill -ALRM ${pid[$1]}; sleep 0.3; grep -q 'releasing lease' '$WORK/$1.out'" ;;
    networkd) kill -TERM "${pid[$1]}" ;;
  esac
}
# released PLACE: the address that its client had, before[PLACE], is no active lease
released() { ! server leases server1 | grep -qF "${before[$1]} "; }
