#pragma once

// Connections on which one side says a little now and then, and the other one nothing.

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// One such connection.
struct Trickle {
    Connection connection;
    /// The side that speaks.
    Party speaker{};
    /// Whether the other side has ended its direction.
    bool is_half_closed = false;
    Clock::time_point since = Clock::now();
    int times = 0;
};

/// How long it is silent before it speaks again.
inline constexpr Duration pause_of_trickles = std::chrono::milliseconds{250};

/// Opens one connection for each side that may speak, and another one for each of which the other
/// side has ended its direction. None where the tool serves one connection at a time.
inline std::vector<Trickle> begin_trickles(PairRun& run) {
    using namespace std::chrono_literals;
    std::vector<Trickle> result;
    if (!run.is_concurrent()) {
        return result;
    }
    for (const bool is_half_closed : {false, true}) {
        for (const auto speaker : {Party::client, Party::server}) {
            result.push_back({run.connect(), speaker, is_half_closed});
            auto& connection = result.back().connection;
            run.round_trip(connection);
            const auto view = view_from(speaker, connection);
            if (is_half_closed) {
                view.far.shutdown_write();
                run.wait_for(view.near.event(POLLIN), Deadline::after(1s), "the end of a stream");
            }
        }
    }
    return result;
}

/// Has each of them carry a few bytes. A tool may take a half-closed connection for one that is
/// over, as it is known for: that is told by the checks of half-closes. Throws Unexpected where a
/// connection has ended on which somebody has spoken all the time.
inline void say_on_all(PairRun& run, std::vector<Trickle>& trickles) {
    for (std::size_t i = trickles.size(); i-- > 0;) {
        auto& trickle = trickles[i];
        const auto view = view_from(trickle.speaker, trickle.connection);
        try {
            run.say(view.near, view.far, view.here);
            ++trickle.times;
            continue;
        } catch (const SetupError&) {
            throw;
        } catch (const ToolEnded&) {
            throw;
        } catch (const std::exception& error) { // whatever a hook makes of it
            const auto what = fmt::format(
                "{}: after {}, in which the {} has spoken {} times, and the {} has {}: {}",
                view.forth, text_of(Clock::now() - trickle.since), view.self, trickle.times,
                view.other, trickle.is_half_closed ? "ended its direction" : "said nothing",
                error.what());
            if (!trickle.is_half_closed) {
                throw Unexpected{run.expected(), what};
            }
            if (trickle.times > 0) {
                const auto ended = direction_of(view.there);
                if (run.traits().half_close.in(ended).value_or(HalfClose::full) ==
                    HalfClose::full) {
                    throw Unexpected{
                        run.expected(),
                        fmt::format("{}; a tool that ends half-closed connections after a while "
                                    "has to declare {}",
                                    what, run.wording(trait::half_close, ended, HalfClose::timed))};
                }
            }
        }
        trickles.erase(trickles.begin() + static_cast<std::ptrdiff_t>(i));
    }
}

/// Has them go on until each has spoken for `duration`.
inline void go_on(PairRun& run, std::vector<Trickle>& trickles, Duration duration) {
    const auto steps = run.steps();
    while (!trickles.empty() && Clock::now() - trickles.front().since < duration) {
        run.forget_steps(steps);
        run.pause(pause_of_trickles, "one side to speak again");
        say_on_all(run, trickles);
    }
}

} // namespace test_tunnel::check
