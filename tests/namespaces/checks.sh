# checks.sh: what every suite of this folder shares: checks that are counted, a folder for the work, and
# an end that tells the count; sourced, not run.
#
# Before: SUITE, its name. The suite defines take_down (ends and removes what it started) and story
# (the last of its logs; called when something failed). It gives: skip, work_folder, check, within.
# shellcheck shell=bash
passed=0 failed=0
skip() {
  echo "SKIPPED $SUITE: $*" >&2
  exit 0
}
# work_folder NAME: makes WORK; from here on the end of the suite takes everything down and tells
work_folder() {
  WORK=$(mktemp -d "/var/tmp/leasehold-$1.XXXXXX")
  trap finish EXIT
}
finish() {
  local status=$?
  trap - EXIT
  take_down
  if [ $status != 0 ] || [ $failed != 0 ]; then story 2>/dev/null || true; fi
  if [ -n "${KEEP:-}" ]; then echo "kept: $WORK"; else rm -rf "$WORK"; fi
  [ $status != 0 ] || [ $failed = 0 ] || status=1
  echo "$SUITE: $passed checks passed, $failed failed"
  exit $status
}
check() { # TEXT COMMAND...
  if "${@:2}" >>"$WORK/checks.out" 2>>"$WORK/errors"; then
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
