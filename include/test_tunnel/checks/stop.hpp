#pragma once

#include <array>

#include "../check.hpp"
#include "../pair_run.hpp"

namespace test_tunnel::check {

/// The tool that all checks before have used, without a connection.
inline void stop_idle(PairRun& run) {
    if (!run.has_server()) {
        run.sentinel();
        run.settle();
        if (!run.has_server()) {
            throw NotApplicable{"it ends by itself after one connection (Traits::serves_again)"};
        }
    }
    run.stop();
}

inline constexpr std::array stop_checks{
    Check{.id = "stop.idle",
          .title = "on SIGTERM, without a connection, it ends in time and leaves nothing behind",
          .level = Level::hello,
          .trait = "exit_statuses",
          .run = stop_idle}};

} // namespace test_tunnel::check
