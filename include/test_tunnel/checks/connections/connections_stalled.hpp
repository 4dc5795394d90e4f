#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "test_tunnel/checks/detail/fill.hpp"
#include "test_tunnel/checks/detail/many_connections.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has the server of one connection and the client of another one stop reading. A tool that waits
/// in a write for one of its connections stops all others, too.
inline void stall_two(PairRun& run) {
    using namespace std::chrono_literals;
    run.need_concurrency();
    constexpr std::size_t count = 4;
    constexpr std::uint64_t most = 8U << 20U;
    auto connections = connect_many(run, count, count);
    need_connections(run, connections, count);
    run.step("readers stop",
             "the tool takes as much data as it likes for readers that have stopped", Party::client,
             Party::server);
    auto streams = for_stopped_readers(run, connections, most);
    fill(run, streams, run.strict() ? Duration{10s} : Duration{1s});
    for (std::size_t i = 2; i < count; ++i) {
        run.step("round trip on another",
                 fmt::format("connection {} goes on while the readers of connections 1 ({}) and 2 "
                             "({}) have stopped",
                             i + 1, run.up, run.down),
                 Party::client, Party::server);
        auto& [client, server] = connections[i];
        run.say(client, server, Party::client);
        run.say(server, client, Party::server);
    }
    run.step("readers go on", "all data for them arrives as it was written", Party::client,
             Party::server);
    for (auto& stream : streams) {
        stream.reads = true;
    }
    transfer(streams, run.supervisor(), {.patience = run.config().timeouts.io});
    for (auto& connection : connections) {
        run.round_trip(connection);
    }
}

inline constexpr Check connections_stalled{
    .id = "connections.stalled",
    .title = "two connections whose readers have stopped do not hold up the others",
    .trait = trait::concurrent.name,
    .presumes = {"connections.burst", "data.bulk.down"},
    .run = stall_two};

} // namespace test_tunnel::check
