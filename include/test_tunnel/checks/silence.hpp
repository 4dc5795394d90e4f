#pragma once

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "../detail/verdict.hpp"
#include "../pair_run.hpp"

namespace test_tunnel::check {

/// Connections on which nothing is said, and since when.
struct Silence {
    std::vector<Connection> connections;
    Clock::time_point since = Clock::now();

    /// How much is left of `duration`.
    [[nodiscard]] Duration left(Duration duration) const {
        return std::max(since + duration - Clock::now(), Duration::zero());
    }
};

/// A connection that has carried something; silent from now on.
inline std::shared_ptr<void> talk_once(PairRun& run) {
    auto silence = std::make_shared<Silence>();
    silence->connections.push_back(run.connect());
    run.round_trip(silence->connections.back());
    silence->since = Clock::now();
    return silence;
}

/// A connection that has carried nothing.
inline std::shared_ptr<void> say_nothing(PairRun& run) {
    auto silence = std::make_shared<Silence>();
    silence->connections.push_back(run.connect());
    silence->since = Clock::now();
    return silence;
}

/// How long a connection may be silent before the tool is known to end it: `duration`, or half
/// of the declared time.
inline Duration bearable_silence(PairRun& run, Duration duration) {
    const auto limit = run.traits().idle_timeout;
    if (!limit || *limit > duration) {
        return duration;
    }
    run.note(fmt::format("a connection may be silent for {} only (declared: Traits::idle_timeout)",
                         detail::text_of(*limit)),
             "idle_timeout");
    return *limit / 2;
}

/// Both ends say nothing for `duration`: nothing arrives, and the connection stays open. Throws
/// Unexpected.
inline void keep_silent(PairRun& run, Connection& connection, Duration duration) {
    const std::array<Socket*, 2> ends{&connection.client, &connection.server};
    std::array events{ends[0]->event(POLLIN), ends[1]->event(POLLIN)};
    const auto begin = Clock::now();
    if (detail::stays_silent(run.server(), events, duration, run.watch().lock().get())) {
        return;
    }
    const auto after = detail::text_of(Clock::now() - begin);
    std::string what;
    for (std::size_t i = 0; i < events.size(); ++i) {
        if (events.at(i).revents == 0) {
            continue;
        }
        const auto* const whose = i == 0 ? PairRun::down : PairRun::up;
        std::array<char, 256> bytes{};
        what += what.empty() ? "" : "\n";
        try {
            const auto count = ends.at(i)->read_some(bytes.data(), bytes.size());
            what += count == 0 ? fmt::format(
                                     "{}: the end of the stream after {} of silence; a tool that "
                                     "ends silent connections has to declare Traits::idle_timeout",
                                     whose, after)
                               : fmt::format("{}: after {} of silence {}", whose, after,
                                             detail::bytes_around({bytes.data(), count}, 0));
        } catch (const SystemError& error) {
            what += fmt::format("{}: after {} of silence: {}", whose, after, error.what());
        }
    }
    throw Unexpected{run.expected(), what};
}

} // namespace test_tunnel::check
