#!/usr/bin/env bash
# kea.sh: a Kea DHCPv4 server, or two as a high-availability pair, in the lab.
#
# Verbs: see driver.sh. Settings: MODE=single|hot-standby|load-balancing; PERSIST=1|0 (a lease file
# or none: Kea never syncs it either way); THREADS=0 (0: one a core); LEASE=7200 (seconds).
set -euo pipefail
# shellcheck source=driver.sh
. "$(dirname "$0")/driver.sh"
MODE=${MODE:-single} PERSIST=${PERSIST:-1} THREADS=${THREADS:-0}

names() { if [ "$MODE" = single ]; then echo server1; else echo server1 server2; fi; }

pools() {
  if [ "$MODE" != load-balancing ]; then
    echo '{ "pool": "10.16.1.0-10.31.255.0" }'
    return
  fi
  echo '{ "pool": "10.16.1.0-10.23.255.255", "client-class": "HA_server1" },'
  echo '{ "pool": "10.24.0.0-10.31.255.0", "client-class": "HA_server2" }'
}

hooks() {
  [ "$MODE" != single ] || return 0
  local folder second=standby
  folder=$(dirname "$(dpkg -L kea-common | grep 'libdhcp_ha\.so$')")
  [ "$MODE" = hot-standby ] || second=secondary
  cat <<CONF
  "hooks-libraries": [
    { "library": "$folder/libdhcp_lease_cmds.so" },
    { "library": "$folder/libdhcp_ha.so", "parameters": { "high-availability": [ {
      "this-server-name": "$1", "mode": "$MODE",
      "heartbeat-delay": 1000, "max-response-delay": 3000, "max-ack-delay": 1000,
      "max-unacked-clients": 0,
      "multi-threading": { "enable-multi-threading": true, "http-dedicated-listener": true,
        "http-listener-threads": 4, "http-client-threads": 4 },
      "peers": [
        { "name": "server1", "url": "http://192.0.2.1:8000/", "role": "primary" },
        { "name": "server2", "url": "http://192.0.2.2:8000/", "role": "$second" } ] } ] } } ],
CONF
}

launch() {
  local folder=$STATE/$1 persist=true
  [ "$PERSIST" = 1 ] || persist=false
  cat >"$folder/kea.conf" <<CONF
{ "Dhcp4": {
  "interfaces-config": { "interfaces": [ "eth0" ], "dhcp-socket-type": "udp" },
  "multi-threading": { "enable-multi-threading": true, "thread-pool-size": $THREADS },
  "lease-database": { "type": "memfile", "persist": $persist, "name": "$folder/leases.csv" },
  "valid-lifetime": $LEASE, "renew-timer": $((LEASE / 2)), "rebind-timer": $((LEASE * 7 / 8)),
  "control-socket": { "socket-type": "unix", "socket-name": "$folder/control" },
$(hooks "$1")
  "subnet4": [ { "id": 1, "subnet": "10.16.0.0/12", "pools": [ $(pools) ],
    "option-data": [ { "name": "routers", "data": "10.16.0.1" } ] } ],
  "loggers": [ { "name": "kea-dhcp4", "severity": "WARN",
    "output_options": [ { "output": "$folder/log" } ] } ]
} }
CONF
  export KEA_PIDFILE_DIR=$folder KEA_LOCKFILE_DIR=$folder KEA_LOGGER_DESTINATION=$folder/log
  # After SIGKILL its file with a process id stays, and a new process of that id would stop it.
  rm -f "$folder"/*.pid
  exec ip netns exec "$LAB-$1" kea-dhcp4 -c "$folder/kea.conf"
}

ask() {
  echo "{ \"command\": \"$2\" }" |
    timeout 3 socat -t 2 - "UNIX-CONNECT:$STATE/$1/control" 2>/dev/null || true
}

is_ready() {
  local name
  for name in $(names); do
    if [ "$MODE" = single ]; then
      ask "$name" config-get | grep -q '"result": 0' || return 1
    else
      ask "$name" ha-heartbeat | grep -q "\"state\": \"$MODE\"" || return 1
    fi
  done
}

# The last row of an address, over the lease file and its compacted predecessors, is what holds.
leases() {
  # Not all of them are always there.
  { cat "$STATE/$1"/leases.csv.[12] "$STATE/$1/leases.csv" 2>/dev/null || true; } | awk -F, '
    $1 ~ /^[0-9]/ { if ($4 > 0 && $10 == 0) held[$1] = $2; else delete held[$1] }
    END { for (address in held) print address, held[address] }'
}

drive "$@"
