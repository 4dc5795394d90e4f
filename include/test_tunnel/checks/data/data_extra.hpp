#pragma once

#include <chrono>

#include "test_tunnel/checks/detail/silence.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Opens a connection on which nothing is said and, where the tool is concurrent, another one on
/// which all has been said.
inline Silence open_fresh_and_used(PairRun& run) {
    Silence silence;
    if (run.is_concurrent()) {
        silence.connections.push_back(run.connect());
        run.round_trip(silence.connections.back());
    }
    silence.connections.insert(silence.connections.begin(), run.connect());
    silence.since = Clock::now();
    return silence;
}

/// Waits for bytes that nobody has written: a greeting before the first byte, a farewell or a
/// keep-alive after the last one.
inline void await_extra_bytes(PairRun& run, Silence& silence) {
    using namespace std::chrono_literals;
    const auto duration = bearable_silence(run, run.wait(1s));
    auto& fresh = silence.connections.front();
    auto& used = silence.connections.back();
    run.step("silence before the first byte", "nothing arrives at either end, and neither closes");
    keep_silent(run, fresh, silence.left(duration));
    run.round_trip(fresh);
    run.step("silence after the last byte", "nothing arrives at either end, and neither closes");
    const bool is_same = &fresh == &used;
    keep_silent(run, used, is_same ? duration : silence.left(duration));
    run.round_trip(used);
}

inline constexpr Check data_extra = prepared_check<open_fresh_and_used, await_extra_bytes>({
    .id = "data.extra",
    .title = "nothing arrives that nobody has written, even when both sides are silent",
    .trait = trait::idle_timeout.name,
});

} // namespace test_tunnel::check
