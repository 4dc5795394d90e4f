#pragma once

// Whether the tool rests while there is nothing to do.

#include <chrono>
#include <string_view>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/process/detail/spinning.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A tool that computes whatever happens, from its start on: it is meant to.
struct BusyPolls {};

/// Has a new tool run, to which nobody has connected, and returns whether it computes. One that
/// still prepares itself is given the time for that.
inline bool spins_from_the_start(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr int most_looks = 5; // a second of work each
    run.kill_after_check();
    run.settle();
    auto& fresh = run.tool();
    run.step("rest from the start", "a new tool rests as long as nobody has connected");
    const auto deadline = Deadline::after(run.config().timeouts.start);
    const auto here = run.pair().proxy_listen.listen();
    const auto is_there = [&] {
        return (run.transports().tcp ? listens_at(fresh, here) : receives_at(fresh, here))
            .value_or(true);
    };
    while (!is_there() && !deadline.passed()) {
        run.pause(5ms, "the tool to listen");
    }
    for (int look = 0; look < most_looks; ++look) {
        if (!detail::find_spin(fresh, 20ms, run.supervisor().get())) {
            return false;
        }
    }
    return true;
}

/// Demands that the tool rests, while `when`: nobody says anything, or nobody listens. Throws
/// Unexpected where it computes, BusyPolls where it has done so since its start.
inline void demand_rest(PairRun& run, std::string_view when) {
    using namespace std::chrono_literals;
    run.step("rest", fmt::format("the tool uses less than half a processor while {}", when));
    const auto expected = run.expected();
    const Duration glance = run.strict() ? 500ms : 10ms;
    const auto spin = detail::find_spin(run.tool(), glance, run.supervisor().get());
    if (!spin) {
        return;
    }
    const auto actual = fmt::format("while {}, it ran for {} within {}, and did not rest", when,
                                    text_of(spin->ran), text_of(spin->watched));
    if (spins_from_the_start(run)) {
        throw BusyPolls{};
    }
    run.step("rest", expected);
    throw Unexpected{expected, actual + "; a new tool to which nobody has connected rests"};
}

} // namespace test_tunnel::check
