#pragma once

#include <chrono>

#include "test_tunnel/checks/detail/full_queue.hpp"
#include "test_tunnel/checks/stop/stop_busy.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/detail/end_of_tool.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Sends SIGTERM while the server, for a second, can't be connected to. The tool may finish what it
/// has begun, but must end when its client has left, and the server can be connected to again.
inline void stop_while_dialling(PairRun& run) {
    using namespace std::chrono_literals;
    const auto& timeouts = run.config().timeouts;
    const auto patience = timeouts.stop + 3s; // of which the system pauses between its attempts
    run.sentinel();
    run.settle();
    auto& tool = run.tool(); // started anew, where it serves just one connection
    FullQueue queue{run};
    auto client = connect_in_vain(run, queue);
    run.step("stop while dialling",
             fmt::format("after SIGTERM the tool ends within {} when its client has left, and the "
                         "server can be connected to",
                         text_of(scaled(patience))),
             Party::tool, Party::tool);
    const auto ended_before = detail::who_has_ended(tool);
    tool.terminate(timeouts.linger + timeouts.io);
    await_end(tool, Deadline::unscaled(run.wait(400ms)));
    client.close();
    queue.release();
    const auto deadline = Deadline::after(patience);
    while (!await_end(tool, Deadline::unscaled(5ms)) && !deadline.passed()) {
        // It may finish this one: then it waits for the server's end, too.
        static_cast<void>(run.listener().try_accept());
    }
    if (!has_ended(tool)) {
        throw Unexpected{run.expected(),
                         fmt::format("it still runs {} later", text_of(scaled(patience))),
                         Cause::timed_out};
    }
    tool.stop(Duration::zero(), timeouts.linger);
    run.judge_end(ended_before);
    run.kill_after_check(); // it has been judged
}

inline constexpr Check stop_dialling{
    .id = "stop.dialling",
    .title = "on SIGTERM, while it connects onwards, the tool ends in time",
    .level = Level::strict,
    .run = stop_while_dialling};

} // namespace test_tunnel::check
