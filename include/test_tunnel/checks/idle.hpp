#pragma once

#include <array>
#include <chrono>

#include "../check.hpp"
#include "../pair_run.hpp"
#include "silence.hpp"

namespace test_tunnel::check {

/// A connection that has carried data, and then nothing for a long time, still carries data: a
/// tool must not take silence for the end.
inline void idle(PairRun& run) {
    using namespace std::chrono_literals;
    const auto longest = run.strict() ? run.config().idle : Duration{300ms};
    run.server().limit(run.config().timeouts.check + longest);
    const auto silence = run.prepared<Silence>();
    auto& connection = silence->connections.front();
    const auto duration = bearable_silence(run, longest);
    run.step("idle", fmt::format("nothing arrives at either end during {} of silence, and the "
                                 "connection stays open",
                                 detail::text_of(duration)));
    keep_silent(run, connection, silence->left(duration));
    run.round_trip(connection);
}

inline constexpr std::array idle_checks{
    Check{.id = "idle",
          .title = "a connection that has been silent for long still carries data",
          .trait = "idle_timeout",
          .run = idle,
          .prepare = talk_once}};

} // namespace test_tunnel::check
