#!/usr/bin/env bash
# isc.sh: an ISC dhcpd, or two as a failover pair, in the lab. It syncs its lease file before each
# ACK, as Debian ships it.
#
# Verbs: see driver.sh. Settings: MODE=single|failover; LEASE=7200 (seconds); LAST=10.19.255.255
# (the first address is 10.16.1.0); POOL=2048, addresses a pool: dhcpd walks the lists of a pool
# lease by lease, so that one large pool makes it crawl and many small ones show its best.
set -euo pipefail
# Readiness is read from the lease file, which is long.
PAUSE=${PAUSE:-0.5}
# A new pair shares out its addresses one by one, each with a sync.
READY_SECONDS=${READY_SECONDS:-300}
# shellcheck source=driver.sh
. "$(dirname "$0")/driver.sh"
MODE=${MODE:-single} LAST=${LAST:-10.19.255.255} POOL=${POOL:-2048}

names() { if [ "$MODE" = single ]; then echo server1; else echo server1 server2; fi; }

failover() {
  [ "$MODE" = failover ] || return 0
  local role=primary other=192.0.2.2 first="mclt 3600; split 128;"
  [ "$1" = server1 ] || role=secondary other=192.0.2.1 first=
  cat <<CONF
failover peer "lab" {
  $role; address $(address "$1"); port 647; peer address $other; peer port 647;
  max-response-delay 60; max-unacked-updates 10; load balance max seconds 3; $first
}
CONF
}

# dhcpd merges pools with equal permissions, so each denies an empty class of its own.
pools() {
  awk -v last="$LAST" -v size="$POOL" -v mode="$MODE" '
    function number(text, part) {
      split(text, part, ".")
      return ((part[1] * 256 + part[2]) * 256 + part[3]) * 256 + part[4]
    }
    function dotted(n) {
      return int(n / 16777216) "." int(n / 65536) % 256 "." int(n / 256) % 256 "." n % 256
    }
    BEGIN {
      partner = mode == "failover" ? "failover peer \"lab\"; " : ""
      stop = number(last)
      for (first = number("10.16.1.0"); first <= stop; first += size) {
        end = first + size - 1 > stop ? stop : first + size - 1
        class = "pool" ++count
        printf "  class \"%s\" { }\n  pool { deny members of \"%s\"; %srange %s %s; }\n",
          class, class, partner, dotted(first), dotted(end)
      }
    }'
}

launch() {
  local folder=$STATE/$1
  # dhcp-cache-threshold 0: every renewal is written, as every renewal of ours is.
  cat >"$folder/dhcpd.conf" <<CONF
authoritative;
ddns-update-style none;
ping-check false;
allow leasequery;
default-lease-time $LEASE;
max-lease-time $LEASE;
dhcp-cache-threshold 0;
$(failover "$1")
subnet 192.0.2.0 netmask 255.255.255.0 { }
subnet 10.16.0.0 netmask 255.240.0.0 {
  option routers 10.16.0.1;
$(pools)
}
CONF
  touch "$folder/leases"
  exec ip netns exec "$LAB-$1" dhcpd -f -4 -q -cf "$folder/dhcpd.conf" -lf "$folder/leases" \
    -pf "$folder/pid" eth0
}

state_of() {
  awk '/failover peer "lab" state/ { seen = 1 } seen && /my state/ { state = $3 }
    END { print state }' "$STATE/$1/leases"
}

is_ready() {
  local name
  for name in $(names); do
    inside "$name" ss -uln | grep -q ':67 ' || return 1
    [ "$MODE" = single ] || [ "$(state_of "$name")" = normal ] || return 1
  done
  # "normal" comes before the pair has shared out its free addresses; nothing tells when it has.
  [ "$MODE" = single ] || [ -e "$STATE/balanced" ] || sleep 12
  touch "$STATE/balanced"
}

leases() {
  awk '$1 == "lease" { address = $2 } $1 == "hardware" { mac = substr($3, 1, 17) }
    $1 == "binding" { state = $3 }
    $1 == "}" && address != "" {
      if (state == "active;") held[address] = mac; else delete held[address]
      address = ""
    }
    END { for (address in held) print address, held[address] }' "$STATE/$1/leases"
}

if [ "${1:-}" = fresh ]; then rm -f "$STATE/balanced"; fi
drive "$@"
