#!/bin/sh
# SPDX-License-Identifier: MIT
# Build the fuzz targets with clang, ASan and UBSan, and run all at once for SECONDS: run.sh SECONDS
# Fails on any finding; the input that caused it stays in build-fuzz/findings.
set -eu

seconds=${1:?usage: run.sh SECONDS}
cd "$(dirname "$0")/../.."
build=build-fuzz

if [ ! -e "$build/build.ninja" ]; then
    CC=clang meson setup "$build" -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
fi
ninja -C "$build" tests/fuzz/fuzz-head tests/fuzz/fuzz-policy tests/fuzz/fuzz-hypercall tests/unit/gate/mkpolicy >"$build/fuzz-build.log" ||
    { cat "$build/fuzz-build.log"; exit 1; }

rm -rf "$build/seeds"
/usr/bin/python3 tests/fuzz/corpus.py "$build/tests/unit/gate/mkpolicy" "$build/seeds"

export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_OPTIONS=detect_leaks=1
failed=0
for target in head policy hypercall; do
    mkdir -p "$build/corpus/$target" "$build/findings"
    "$build/tests/fuzz/fuzz-$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len=12000 -print_final_stats=1 -artifact_prefix="$build/findings/$target-" \
        "$build/corpus/$target" "$build/seeds/$target" >"$build/fuzz-$target.log" 2>&1 &
    eval "pid_$target=$!"
done
for target in head policy hypercall; do
    eval "pid=\$pid_$target"
    if wait "$pid"; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/fuzz-$target.log")
        cov=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$build/fuzz-$target.log" | tail -1)
        echo "fuzz-$target: $runs inputs in $seconds s, $cov edges, no findings"
        [ "${runs:-0}" -gt 100 ] || { echo "fuzz-$target: too few inputs"; failed=1; }
    else
        tail -40 "$build/fuzz-$target.log"
        echo "fuzz-$target: a finding; see $build/findings"
        failed=1
    fi
done
exit "$failed"
