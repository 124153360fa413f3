#!/bin/sh
# Fuzzes one target for some seconds: run.sh decode|option82|framing|expression|frame SECONDS
# Finds go to artifacts/; a fault found belongs into corpus/TARGET/ under a telling name.
# There is no unsafe code in what is fuzzed, so coverage is wanted and no sanitizer.
set -eu
target=$1
seconds=$2
cd "$(dirname "$0")"
triple=$(rustc -vV | sed -n 's/^host: //p')
build=${CARGO_TARGET_DIR:-target}
pass=-Cllvm-args=-sanitizer-coverage
RUSTFLAGS="-Cpasses=sancov-module $pass-level=4 $pass-inline-8bit-counters $pass-pc-table \
$pass-trace-compares --cfg fuzzing -Ccodegen-units=1" \
    cargo build --release --target "$triple" --bin "$target"
mkdir -p artifacts "$build/new/$target"
exec "$build/$triple/release/$target" -max_total_time="$seconds" -max_len=2000 -timeout=5 \
    -artifact_prefix=artifacts/ "$build/new/$target" "corpus/$target"
