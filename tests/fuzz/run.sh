#!/bin/sh
# SPDX-License-Identifier: MIT
# Build the fuzz targets with clang, ASan and UBSan, and run all at once for SECONDS: run.sh SECONDS
# They are built in build-asan, which the unit tests under sanitizers have too.  Fails on any finding; the input that
# caused it stays in build-fuzz/findings.  XENLEVEL_SEED=N begins elsewhere.
set -eu

seconds=${1:?usage: run.sh SECONDS}
targets="head policy cmdline hypercall restore image forms"
cd "$(dirname "$0")/../.."
build=build-asan
work=build-fuzz

if [ ! -e "$build/build.ninja" ]; then
    CC=clang meson setup "$build" -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
fi
programs="tests/migration/gate/mkpolicy tests/fuzz/mkstreams"
for target in $targets; do
    programs="$programs tests/fuzz/fuzz-$target"
done
mkdir -p "$work"
# shellcheck disable=SC2086 # they are words
ninja -C "$build" $programs >"$work/fuzz-build.log" || { cat "$work/fuzz-build.log"; exit 1; }

rm -rf "$work/seeds"
/usr/bin/python3 tests/fuzz/corpus.py "$build/tests/migration/gate/mkpolicy" "$build/tests/fuzz/mkstreams" "$work/seeds"

export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_OPTIONS=detect_leaks=1
FEWEST=101      # inputs; with fewer a target has hardly looked beyond what it was given

# run TARGET HOW-LONG: one fuzzer, into its log.
run() {
    # Streams hold pages.  What restore is given must not make it take much memory: the largest
    # that it may ask for at once is HVM_CONTEXT's 16 MiB, or 128 MiB of X86_PV_P2M_FRAMES.
    length=12000
    limit=2048
    case $1 in
    restore | image) length=60000 limit=160 ;;
    forms) length=8000 ;;
    head) length=300000 ;; # more than XC_SR_HEAD_MAX, or its limits are never met
    esac
    kept=tests/fuzz/corpus/$1
    [ -d "$kept" ] || kept=
    "$build/tests/fuzz/fuzz-$1" -seed="${XENLEVEL_SEED:-1}" "$2" -timeout=60 -rss_limit_mb=2048 \
        -malloc_limit_mb="$limit" -max_len="$length" -print_final_stats=1 -close_fd_mask=1 \
        -artifact_prefix="$work/findings/$1-" \
        "$work/corpus/$1" "$work/seeds/$1" $kept >"$work/fuzz-$1.log" 2>&1
}

count_runs() {
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/fuzz-$1.log")
    runs=${runs:-0}
}

failed=0
for target in $targets; do
    mkdir -p "$work/corpus/$target" "$work/findings"
    run "$target" "-max_total_time=$seconds" &
    eval "pid_$target=$!"
done
for target in $targets; do
    eval "pid=\$pid_$target"
    status=0
    wait "$pid" || status=$?
    count_runs "$target"
    took="$seconds s"
    if [ "$status" = 0 ] && [ "$runs" -lt "$FEWEST" ]; then
        took="more than $seconds s" # the machine is slow, which is no finding
        run "$target" "-runs=$FEWEST" || status=$?
        count_runs "$target"
    fi
    if [ "$status" = 0 ]; then
        cov=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$work/fuzz-$target.log" | tail -1)
        echo "fuzz-$target: $runs inputs in $took, $cov edges, no findings"
        [ "$runs" -ge "$FEWEST" ] || { echo "fuzz-$target: too few inputs"; failed=1; }
    else
        tail -40 "$work/fuzz-$target.log"
        echo "fuzz-$target: a finding; see $work/findings"
        failed=1
    fi
done
exit "$failed"
