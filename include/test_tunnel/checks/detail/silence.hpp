#pragma once

// Connections on which nobody says anything.

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Connections on which nobody says anything, and since when.
struct Silence {
    std::vector<Connection> connections;
    Clock::time_point since = Clock::now();

    /// Returns how much is left of a silence of `duration`.
    [[nodiscard]] Duration left(Duration duration) const {
        return std::max(since + duration - Clock::now(), Duration::zero());
    }
};

/// Returns for how long a connection may be silent before the tool is known to end it: `duration`,
/// or half of the declared time, where that is not longer.
inline Duration bearable_silence(PairRun& run, Duration duration) {
    const auto limit = run.traits().idle_timeout;
    if (!limit || *limit > duration) {
        return duration;
    }
    run.note(fmt::format("a connection may be silent for {} only (declared: {})", text_of(*limit),
                         run.wording(trait::idle_timeout.name)),
             trait::idle_timeout.name);
    return *limit / 2;
}

/// Waits for `duration`, in which nobody says anything. Throws Unexpected where something arrives
/// at either end, or the connection ends.
inline void keep_silent(PairRun& run, Connection& connection, Duration duration) {
    const std::array<Socket*, 2> ends{&connection.client, &connection.server};
    std::array events{ends[0]->event(POLLIN), ends[1]->event(POLLIN)};
    const auto begin = Clock::now();
    if (detail::stays_silent(run.tool(), events, duration, run.supervisor().get())) {
        return;
    }
    const auto after = text_of(Clock::now() - begin);
    const std::array directions{PairRun::down, PairRun::up};
    std::string what;
    for (std::size_t i = 0; i < events.size(); ++i) {
        if (events.at(i).revents != 0) {
            const bool has_data = ends.at(i)->pending() > 0;
            what += fmt::format("{}{}: after {} of silence: {}{}", what.empty() ? "" : "\n",
                                directions.at(i), after, what_came(*ends.at(i)),
                                has_data ? ""
                                         : "; a tool that ends silent connections has to declare " +
                                               run.wording(trait::idle_timeout.name));
        }
    }
    throw Unexpected{run.expected(), what};
}

} // namespace test_tunnel::check
