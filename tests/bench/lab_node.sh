#!/usr/bin/env bash
# lab_node.sh: one member of ours in a lab of network namespaces that is not ours (tests/namespaces is):
# for scripts that start "PROGRAM NAME FOLDER" in the namespace of NAME and measure from outside.
#
# Usage: [LAB=...] [LEASEHOLD_BIN=...] lab_node.sh NAME FOLDER    becomes the member
#        lab_node.sh NAME FOLDER leases                           prints "ADDRESS MAC" lines
#        lab_node.sh NAME FOLDER leader                           prints the name of a server to hit
# NAME is server1, server2 or witness; its namespace is $LAB-NAME (default dlab), its address that of
# eth0 there; relay agents are in 10.16.0.0/12. On the first start server1 makes the cluster, the others
# join it, and the network is applied.
set -euo pipefail
NAME=$1 FOLDER=$2 VERB=${3:-serve}
LAB=${LAB:-dlab}
BIN=${LEASEHOLD_BIN:-${CARGO_TARGET_DIR:-$(dirname "$0")/../../target}/release/leasehold}
export LEASEHOLD_ADMIN=http://127.0.0.1:6780

address_of() { ip -n "$LAB-$1" -4 -o addr show dev eth0 | sed 's|.* inet \([0-9.]*\)/.*|\1|'; }
at() { ip netns exec "$LAB-$1" "$BIN" "${@:2}"; }
within() { # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  until "${@:2}" >/dev/null 2>&1; do [ $SECONDS -lt $end ] && sleep 0.05; done
}

case $VERB in
  leases)
    "$BIN" lease list --output json | jq -r '.[] | select(.state == "active") | "\(.ip) \(.mac)"'
    exit
    ;;
  leader)
    case $(ip netns exec "$LAB-$NAME" curl -fs "$LEASEHOLD_ADMIN/v1/cluster" | jq -r .leader) in
      2) echo server2 ;;
      *) echo server1 ;;
    esac
    exit
    ;;
esac

mkdir -p "$FOLDER"
own=$(address_of "$NAME")
case $NAME in server1) id=1 ;; server2) id=2 ;; *) id=3 ;; esac
role=server
[ "$NAME" != witness ] || role=witness
{
  printf '[member]\nid = %d\nname = "%s"\ndata_dir = "%s/data"\nrole = "%s"\n' \
    "$id" "$NAME" "$FOLDER" "$role"
  [ "$role" = witness ] || printf '[dhcp]\nlisten = ["%s:67"]\nserver_id = "%s"\n' "$own" "$own"
  printf '[peer]\nlisten = "%s:6747"\nadvertise = "%s:6747"\ninsecure = true\n' "$own" "$own"
  printf '[admin]\nlisten = "127.0.0.1:6780"\n'
} >"$FOLDER/member.toml"
cat >"$FOLDER/network.toml" <<'CONF'
[[subnet]]
prefix = "10.16.0.0/12"
pools = ["10.16.1.0-10.31.255.0"]
options = { routers = ["10.16.0.1"] }
CONF

join() {
  local token
  token=$(at server1 cluster token) && at "$NAME" cluster join --peer "$(address_of server1):6747" --token "$token"
}

form() {
  within 60 at "$NAME" cluster status
  if [ "$NAME" = server1 ]; then
    at server1 cluster init
    at server1 config apply "$FOLDER/network.toml"
  else
    # server1 may not have made the cluster yet.
    within 60 join
  fi
}
[ -e "$FOLDER/data" ] || form >>"$FOLDER/form.out" 2>&1 &
exec "$BIN" serve --config "$FOLDER/member.toml"
