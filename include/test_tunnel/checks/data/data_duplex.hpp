#pragma once

#include <cstdint>

#include "test_tunnel/checks/detail/both_ways.hpp"
#include "test_tunnel/checks/detail/socket_options.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Carries much data both ways at once, different in each direction: neither may wait for the
/// other, and no byte may get into the wrong one.
inline void carry_both_ways(PairRun& run) {
    const std::uint64_t mebibytes = run.strict() ? 64 : 8;
    auto connection = run.connect();
    run.step("full duplex",
             fmt::format("{} MiB arrive as they were written, both ways at once", mebibytes),
             Party::client, Party::server);
    auto streams = both_ways(run, connection, mebibytes << 20U);
    if (!run.strict()) {
        limit_send_buffer(connection.client);
        limit_send_buffer(connection.server);
    }
    const auto soft_end = run.soft_end();
    const auto longest = run.config().timeouts.check / 2;
    test_tunnel::transfer(streams, run.supervisor(),
                          {.patience = run.config().timeouts.io,
                           .soft_end = soft_end ? *soft_end : Deadline::after(longest)});
    if (run.strict() && streams[0].written + streams[1].written < mebibytes << 21U) {
        run.note(fmt::format("{} MiB both ways at once take longer than {}", mebibytes,
                             text_of(scaled(longest))));
    }
    run.round_trip(connection);
}

inline constexpr Check data_duplex{.id = "data.duplex",
                                   .title = "8 MiB go each way at the same time; strict: 64 MiB",
                                   .presumes = {"data.bulk.up", "data.bulk.down"},
                                   .run = carry_both_ways};

} // namespace test_tunnel::check
