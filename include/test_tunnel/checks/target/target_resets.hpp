#pragma once

#include <chrono>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has the server accept and reset at once. So a tool is found that looks only at the client's
/// side, or dies of what it did not expect.
inline void reset_at_once(PairRun& run) {
    const bool once = serves_once(run);
    {
        auto connection = run.connect();
        run.step("reset by the server",
                 "the client's connection ends when the server accepts and resets it at once",
                 Party::server, Party::client);
        connection.server.reset();
        const bool passes_eof = run.expects_end(Direction::down);
        using namespace std::chrono_literals;
        const auto deadline = passes_eof ? Deadline::after(run.config().timeouts.io)
                                         : Deadline::unscaled(run.wait(1s));
        if (!await_ending(run, connection.client, deadline) && passes_eof) {
            throw Unexpected{
                run.expected(),
                fmt::format("nothing for {}; a tool that does not pass an end on has to declare {}",
                            text_of(scaled(run.config().timeouts.io)),
                            run.wording(trait::passes_eof, Direction::down, false)),
                Cause::timed_out};
        }
    }
    if (once) {
        run.kill_after_check(); // with which status it ends then is not judged
        return;
    }
    require_service_after(run, "the server resets a connection");
}

inline constexpr Check target_resets{
    .id = "target.resets",
    .title = "when the server accepts a connection and resets it at once, the client learns of it",
    .trait = trait::passes_eof.name,
    .run = reset_at_once};

} // namespace test_tunnel::check
