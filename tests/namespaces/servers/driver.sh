# driver.sh: what the server drivers share; sourced by them, not run.
#
# Usage of every driver: STATE=FOLDER [settings] DRIVER.sh VERB
#   fresh        stop, forget everything, start, wait until it serves
#   start        start with what was stored, wait until it serves
#   stop         end the servers of this driver
#   kill NAME    SIGKILL one server
#   again NAME   start one killed server anew, with what it stored; does not wait
#   ready        wait until it serves
#   leases NAME  what a server holds: "ADDRESS MAC" lines
#   leader       the server to hit: its name
# STATE/pids has "NAME PID" lines, STATE/targets a server address a line (those that relay agents
# send to). A driver defines: names, launch NAME (which execs the server), is_ready, leases NAME.
# shellcheck shell=bash
LAB=${LAB:-lhlab}
STATE=${STATE:?set STATE to a folder}
LEASE=${LEASE:-7200}
READY_SECONDS=${READY_SECONDS:-120}
PAUSE=${PAUSE:-0.02}

address() {
  case $1 in server1) echo 192.0.2.1 ;; server2) echo 192.0.2.2 ;; witness) echo 192.0.2.3 ;; esac
}
inside() { ip netns exec "$LAB-$1" "${@:2}"; }
# A process that has ended may stay as a zombie where nobody reaps it: that counts as gone, but only once its other
# threads have ended too, because until then its sockets are open.
gone() {
  case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) in
    "") return 0 ;;
    Z* | X*) [ "$(ls "/proc/$1/task" 2>/dev/null | wc -l)" -le 1 ] ;;
    *) return 1 ;;
  esac
}
wait_gone() {
  local end=$((SECONDS + $2))
  until gone "$1"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.02
  done
}
pid_of() { awk -v name="$1" '$1 == name { print $2 }' "$STATE/pids"; }

launch_in_background() {
  mkdir -p "$STATE/$1"
  (launch "$1") >>"$STATE/$1.out" 2>&1 </dev/null &
  sed -i "/^$1 /d" "$STATE/pids"
  echo "$1 $!" >>"$STATE/pids"
}

start_all() {
  local name
  mkdir -p "$STATE"
  : >"$STATE/pids"
  : >"$STATE/targets"
  for name in $(names); do
    launch_in_background "$name"
    [ "$name" = witness ] || address "$name" >>"$STATE/targets"
  done
}

wait_ready() {
  local end=$((SECONDS + READY_SECONDS)) name
  until is_ready; do
    for name in $(names); do
      ! gone "$(pid_of "$name")" && [ $SECONDS -lt $end ] && continue
      echo "$(basename "$0"): $name does not serve; its last words:" >&2
      tail -n 15 "$STATE/$name.out" "$STATE/$name"/log* >&2 2>/dev/null || true
      return 1
    done
    sleep "$PAUSE"
  done
}

stop_all() {
  [ -f "$STATE/pids" ] || return 0
  local name pid
  while read -r name pid; do kill -TERM "$pid" 2>/dev/null || true; done <"$STATE/pids"
  while read -r name pid; do
    wait_gone "$pid" 10 || kill -KILL "$pid" 2>/dev/null || true
  done <"$STATE/pids"
  rm -f "$STATE/pids"
}

drive() {
  case "${1:-}" in
    fresh)
      stop_all
      for name in server1 server2 witness; do rm -rf "${STATE:?}/$name" "$STATE/$name.out"; done
      start_all
      if declare -F form >/dev/null; then form; fi
      wait_ready
      ;;
    start) start_all && wait_ready ;;
    stop) stop_all ;;
    kill)
      kill -KILL "$(pid_of "$2")"
      wait_gone "$(pid_of "$2")" 10
      ;;
    again) launch_in_background "$2" ;;
    ready) wait_ready ;;
    leases) leases "$2" ;;
    leader) if declare -F leader >/dev/null; then leader; else echo server1; fi ;;
    *)
      echo "usage: STATE=FOLDER $(basename "$0") VERB; see driver.sh" >&2
      exit 2
      ;;
  esac
}
