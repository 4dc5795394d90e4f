#pragma once

#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Stops the tool that all checks before have used, while it has no connection.
inline void stop_without_connection(PairRun& run) {
    if (!run.has_tool()) {
        if (run.transports().tcp) {
            run.sentinel();
        } else {
            run.flow_sentinel();
        }
        run.settle();
        if (!run.has_tool()) {
            throw NotApplicable{fmt::format("it ends by itself after one connection ({})",
                                            run.wording(trait::serves_again.name))};
        }
    }
    run.stop();
}

inline constexpr Check stop_idle{
    .id = "stop.idle",
    .title = "on SIGTERM, without a connection, the tool ends in time and leaves nothing behind",
    .level = Level::hello,
    .needs = {},
    .trait = trait::exit_statuses.name,
    .run = stop_without_connection};

} // namespace test_tunnel::check
