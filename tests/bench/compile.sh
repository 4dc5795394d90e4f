#!/bin/sh
# What the test of a tunnel takes to compile, against a test that knows no tunnel: each in turn, then what
# linking takes and how big the stripped program is. Prints lines of the table, with medians of CPU time
# and their ratio; asserts nothing, since machines are shared and noisy.
#
#   tests/bench/compile.sh [build directory] [rounds]       default: build 11
#
# The build directory has the compiled library. FLAGS are the compiler's for spdlog and fmt, CXX is it.
set -eu
cd "$(dirname "$0")/../.."
build=${1-build}
rounds=${2-11}
cxx=${CXX-g++}
flags="-std=c++20 -DTEST_TUNNEL_COMPILED -Iinclude ${FLAGS--DSPDLOG_COMPILED_LIB -DSPDLOG_FMT_EXTERNAL -DFMT_SHARED}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The CPU time of a command, its children's included, in milliseconds; `times` counts for a shell of its own.
cpu() {
    sh -c '"$@" && times' sh "$@" | tail -n 1 |
        awk '{ split($1, own, /[ms]/); split($2, kernel, /[ms]/)
               printf "%d\n", ((own[1] + kernel[1]) * 60 + own[2] + kernel[2]) * 1000 }'
}
median() { sort -n "$work/$1.times" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }

# row WHAT MEASURED BASELINE UNIT [BUDGET]
row() {
    awk -v what="$1" -v measured="$2" -v baseline="$3" -v unit="$4" -v budget="${5-}" 'BEGIN {
        ratio = measured / baseline
        printf "| %s | %s %s | %s %s the baseline | %.2f | %s | %s |\n", what, measured, unit, baseline, unit,
            ratio, budget == "" ? "reported" : "≤ " budget,
            budget == "" ? "" : ratio <= budget ? "kept" : "**missed**" }'
}

for level in -O0 -O2; do
    rm -f "$work"/*.times
    for _ in $(seq "$rounds"); do
        for source in tests/bench/compile/baseline.cpp examples/socat.cpp tests/package/consumer/second.cpp; do
            name=$(basename "$source" .cpp)
            # Word splitting is meant: $flags is a list.
            # shellcheck disable=SC2086
            cpu "$cxx" $flags "$level" -c "$source" -o "$work/$name.o" >>"$work/$name.times"
        done
    done
    row "compiling \`examples/socat.cpp\`, $level" "$(median socat)" "$(median baseline)" ms 1.3
    row "compiling a second translation unit, $level" "$(median second)" "$(median baseline)" ms
done
rm -f "$work"/*.times
for _ in $(seq "$rounds"); do
    for name in baseline socat; do
        main=$(test "$name" = socat || echo -lCatch2Main)
        # shellcheck disable=SC2086
        cpu "$cxx" -s "$work/$name.o" -o "$work/$name" -L"$build" -ltest_tunnel_catch2 -ltest_tunnel $main \
            -lCatch2 -lspdlog -lfmt >>"$work/$name.times"
    done
done
row "linking it, -O2, stripped" "$(median socat)" "$(median baseline)" ms
row "the size of the program, -O2, stripped" \
    $(($(stat -c %s "$work/socat") / 1024)) $(($(stat -c %s "$work/baseline") / 1024)) KiB
