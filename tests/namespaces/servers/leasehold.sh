#!/usr/bin/env bash
# leasehold.sh: our server in the lab: one member, a pair, or a pair with a witness.
#
# Verbs: see driver.sh. Settings: MODE=single|pair|witness; LEASE=7200 (seconds);
# LEASEHOLD_BIN, the binary (default: release/leasehold in the target folder); INTERFACE, where
# clients are served directly (default none); NETWORK_MORE, a file with more of network.toml.
# More verbs: admin NAME ARGUMENT... runs one command of the binary against that member.
set -euo pipefail
# shellcheck source=driver.sh
. "$(dirname "$0")/driver.sh"
MODE=${MODE:-witness}
LEASEHOLD_BIN=${LEASEHOLD_BIN:-${CARGO_TARGET_DIR:-$(dirname "$0")/../../../target}/release/leasehold}

names() {
  case $MODE in
    single) echo server1 ;;
    pair) echo server1 server2 ;;
    witness) echo server1 server2 witness ;;
  esac
}

number() { case $1 in server1) echo 1 ;; server2) echo 2 ;; witness) echo 3 ;; esac; }
admin() { LEASEHOLD_ADMIN=http://127.0.0.1:6780 inside "$1" "$LEASEHOLD_BIN" "${@:2}"; }

launch() {
  local folder=$STATE/$1 at role=server
  at=$(address "$1")
  [ "$1" != witness ] || role=witness
  cat >"$folder/member.toml" <<CONF
[member]
id = $(number "$1")
name = "$1"
data_dir = "$folder/data"
role = "$role"
CONF
  if [ "$role" = server ] && [ -n "${INTERFACE:-}" ]; then
    cat >>"$folder/member.toml" <<CONF

[dhcp]
listen = ["$at:67", "192.0.3.$(number "$1"):67"]
interfaces = ["$INTERFACE"]
server_id = "192.0.3.$(number "$1")"
CONF
  elif [ "$role" = server ]; then
    cat >>"$folder/member.toml" <<CONF

[dhcp]
listen = ["$at:67"]
server_id = "$at"

[leasequery]
listen_tcp = ["$at:67"]
CONF
  fi
  cat >>"$folder/member.toml" <<CONF

[peer]
listen = "$at:6747"
advertise = "$at:6747"
insecure = true

[admin]
listen = "127.0.0.1:6780"
CONF
  exec ip netns exec "$LAB-$1" "$LEASEHOLD_BIN" serve --config "$folder/member.toml"
}

alive() { inside "$1" curl -fs -o "$STATE/$1/answer" "http://127.0.0.1:6780/$2"; }

wait_alive() {
  local end=$((SECONDS + READY_SECONDS))
  until alive "$1" livez; do
    if [ $SECONDS -ge $end ] || gone "$(pid_of "$1")"; then
      echo "leasehold.sh: $1 did not start:" >&2
      tail -n 15 "$STATE/$1.out" >&2
      return 1
    fi
    sleep 0.05
  done
}

form() {
  local name token
  for name in $(names); do wait_alive "$name"; done
  admin server1 cluster init
  for name in $(names); do
    [ "$name" != server1 ] || continue
    token=$(admin server1 cluster token)
    admin "$name" cluster join --peer 192.0.2.1:6747 --token "$token"
  done
  cat >"$STATE/network.toml" <<CONF
[lease]
default = "${LEASE}s"

[[subnet]]
prefix = "10.16.0.0/12"
pools = ["10.16.1.0-10.31.255.0"]
options = { routers = ["10.16.0.1"] }

[leasequery]
permitted = ["10.16.0.0/12", "192.0.2.0/24"]
CONF
  [ -z "${NETWORK_MORE:-}" ] || cat "$NETWORK_MORE" >>"$STATE/network.toml"
  admin server1 config apply "$STATE/network.toml"
}

is_ready() {
  local name
  for name in $(names); do alive "$name" readyz || return 1; done
}

leases() {
  admin "$1" lease list --output json | jq -r '.[] | select(.state == "active") | "\(.ip) \(.mac)"'
}

leader() {
  local name id=
  for name in $(names); do
    id=$(inside "$name" curl -fs http://127.0.0.1:6780/v1/cluster | jq -r '.leader // empty') || true
    [ -z "$id" ] || break
  done
  for name in $(names); do [ "$(number "$name")" != "$id" ] || echo "$name"; done
}

if [ "${1:-}" = admin ]; then admin "${@:2}"; else drive "$@"; fi
