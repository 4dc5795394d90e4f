#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "test_tunnel/checks/detail/after_reset.hpp"
#include "test_tunnel/checks/detail/carrying.hpp"
#include "test_tunnel/checks/detail/release.hpp"
#include "test_tunnel/checks/detail/said.hpp"
#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has the client close, as its user presses Ctrl-C, and the server write on. The tool is told by
/// the client's end only that the client writes no more; but when it has tried to pass something
/// on, it knows that there is nobody, and has to end the server's connection.
inline void leave_in_silence(PairRun& run, Leaving& leaving) {
    const bool expects_end = run.expects_end(Direction::up);
    try_each(run, expects_end, [&](Before before, auto number) {
        auto connection = run.connect();
        const auto view = view_from(Party::client, connection);
        say_before(run, view, before, number);
        leaving.begins();
        const auto said = said_in_words(run, view, before);
        run.step(fmt::format("close: {}", said),
                 "the server sees a clean end of stream when the client closes", view.here,
                 view.there);
        view.near.close();
        run.demand_end(view.far, view.forth);
        if (run.must_pass_end(Direction::up)) {
            demand_release(run, view, Release::freed, said);
        }
        view.far.close();
        leaving.has_ended();
    });
}

/// Has `here` close while the tool waits for it to read: what the tool holds then is nobody's any
/// more, and neither may it hold the other side. `ends_first` says that `here` has ended its
/// direction before.
template <Party here>
void leave_unread(PairRun& run, Leaving& leaving, Before before, bool ends_first) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t number = all_before.size();
    constexpr std::uint64_t more_than_buffers = 64U << 20U;
    auto connection = run.connect();
    const auto view = view_from(here, connection);
    say_before(run, view, before, number + (ends_first ? 1 : 0));
    leaving.begins();
    if (ends_first) {
        run.step("half-close",
                 fmt::format("the {} sees a clean end of stream when the {} ends its direction",
                             view.other, view.self),
                 view.here, view.there);
        view.near.shutdown_write();
        run.demand_end(view.far, view.forth);
    }
    const auto said = said_in_words(run, view, before) +
                      (ends_first ? fmt::format(", {} had ended its direction", view.self) : "");
    run.step(fmt::format("close while the {} writes: {}", view.other, said),
             fmt::format("the tool takes what the {} writes while the {} does not read", view.other,
                         view.self),
             view.there, view.here);
    Stream back{.from = view.far,
                .to = view.near,
                .name = view.back,
                .pattern = run.pattern().derive("unread"),
                .size = more_than_buffers,
                .reads = false,
                .may_break = true}; // a tool may have ended both directions
    // A tool that is still busy when nothing has been taken for a moment may be waiting for a CPU.
    const auto enough = Deadline::unscaled(500ms);
    do {
        carry(run, {&back, 1}, {.patience = 5ms, .soft_end = enough, .may_stall = true});
    } while (!detail::is_idle(run.tool()) && !enough.passed());
    view.near.close();
    demand_release(run, view, release_of(view), said);
    view.far.close();
    leaving.has_ended();
}

/// Has a side leave at once, in all the ways in which it may do so, and the other one write on.
template <Party here>
void leave(PairRun& run) {
    Leaving leaving{run};
    // For a server that leaves in silence, these are half-closes: the client is told.
    if constexpr (here == Party::client) {
        leave_in_silence(run, leaving);
    }
    if (run.must_pass_end(direction_of(here))) {
        const auto steps = run.steps();
        leave_unread<here>(run, leaving, {}, false);
        run.forget_steps(steps);
        leave_unread<here>(run, leaving, {.near = Said::much}, false);
        if constexpr (here == Party::client) { // a client that has seen the end has been told
            run.forget_steps(steps);
            leave_unread<here>(run, leaving, {.near = Said::one_byte}, true);
        }
    }
    leaving.demand_service();
}

inline constexpr Check close_leave_client{
    .id = "close.leave.client",
    .title = "the server's connection ends when the client has gone, also while the server writes",
    .trait = trait::passes_eof.name,
    .presumes = {"data.bulk.down"},
    .run = leave<Party::client>};

inline constexpr Check close_leave_server{
    .id = "close.leave.server",
    .title = "the client learns that the server has gone, also while the client writes",
    .trait = trait::passes_eof.name,
    .presumes = {"data.bulk.up"},
    .run = leave<Party::server>};

} // namespace test_tunnel::check
