#!/bin/sh
# How long the test of a tunnel takes to compile, against a test that knows no tunnel: each in turn, then
# what linking takes and how big the stripped program is. Prints medians of CPU time and their ratio;
# asserts nothing, since machines are shared and noisy.
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
median() { sort -n "$1" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }

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
    baseline=$(median "$work/baseline.times")
    for name in baseline socat second; do
        median "$work/$name.times" | awk -v level="$level" -v name="$name" -v baseline="$baseline" \
            '{ printf "%s %-9s %6d ms  %.2f of the baseline\n", level, name, $1, $1 / baseline }'
    done
done
for name in baseline socat; do
    time=$(cpu "$cxx" -s "$work/$name.o" -o "$work/$name" -L"$build" -ltest_tunnel_catch2 -ltest_tunnel \
        $(test "$name" = baseline && echo -lCatch2Main) -lCatch2 -lspdlog -lfmt)
    printf 'link      %-9s %6d ms, %d bytes\n' "$name" "$time" "$(stat -c %s "$work/$name")"
done
