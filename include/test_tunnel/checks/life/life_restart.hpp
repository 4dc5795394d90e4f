#pragma once

#include <string_view>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Starts another tool where the last one has been, and returns whether it serves clients: it can't
/// where it does not listen with SO_REUSEADDR, as long as the system remembers a connection there
/// (TIME_WAIT, or the last one of a tool that was killed).
inline bool can_restart(PairRun& run, std::string_view when) {
    run.step("start there again",
             fmt::format("the tool can be started where it has just been: {}", when));
    try {
        run.restart_there();
        run.sentinel();
        return true;
    } catch (const ToolEnded&) {
        return false;
    } catch (const TimedOut&) { // it tries for longer than a start may take
        return false;
    }
}

/// Starts the tool again at once on the same ports, as a service manager does: when it has closed
/// its connection before the client did and was then stopped, and when it was killed while a
/// connection was open.
inline void start_there_again(PairRun& run) {
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    {
        auto connection = run.connect();
        run.round_trip(connection);
        connection.server.close();
        run.step(StepKind::end_of_stream, "the tool closes its connection to the client first",
                 Party::tool, Party::client);
        if (run.expects_end(Direction::down)) {
            run.demand_end(connection.client, run.down);
        }
    }
    run.stop();
    bool restarts = can_restart(run, "it had closed its connection first");
    if (restarts) {
        auto connection = run.connect();
        run.round_trip(connection);
        restarts = can_restart(run, "it was killed while a connection was open");
    }
    run.kill_after_check();
    run.judge(trait::restarts_at_once, restarts);
}

inline constexpr Check life_restart{
    .id = "life.restart",
    .title = "a tool that has closed first, or was killed, can be started there again at once",
    .level = Level::strict,
    .trait = trait::restarts_at_once.name,
    .presumes = {"stop.idle"},
    .run = start_there_again};

} // namespace test_tunnel::check
