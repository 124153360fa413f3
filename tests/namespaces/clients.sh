# clients.sh: what the suites with real clients share; sourced by them, not run.
#
# Before: LAB, WORK (a folder, once it is made). It gives: skip, check, within, inside, capture, sees,
# start_client, events, address_of; and passed, failed, mine (processes to end), pid (by place).
# shellcheck shell=bash disable=SC2016,SC2034 # $0 is the inner shell's; who sources it uses the rest.
skip() {
  echo "SKIPPED $SUITE: $*" >&2
  exit 0
}
inside() { ip netns exec "$LAB-$1" "${@:2}"; }
passed=0 failed=0 mine=()
declare -A pid
check() { # TEXT COMMAND...
  if "${@:2}" >/dev/null 2>>"$WORK/errors"; then
    passed=$((passed + 1))
    echo "ok    $1"
  else
    failed=$((failed + 1))
    echo "FAIL  $1"
  fi
}
# within SECONDS COMMAND...: the command succeeds before the time is over
within() {
  local end=$((SECONDS + $1))
  until "${@:2}"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}
capture() { # PLACE INTERFACE FILE
  ip netns exec "$LAB-$1" tcpdump -U -ni "$2" -w "$WORK/$3.pcap" 'udp port 67 or udp port 68' \
    >/dev/null 2>"$WORK/$3.log" &
  mine+=($!)
  within 5 grep -qs 'listening on' "$WORK/$3.log"
}
# sees CAPTURE FILTER: tshark finds such a packet
sees() { [ -n "$(tshark -r "$WORK/$1.pcap" -Y "$2" 2>/dev/null | head -n 1)" ]; }

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
