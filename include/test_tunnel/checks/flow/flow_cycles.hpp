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

/// Has two readers, one on each side, stop and read on, again and again: what a tool does to make a
/// writer wait, and to let it go on, may work only once.
inline void stop_and_read_on(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr int cycles = 3;
    constexpr std::uint64_t most = 16U << 20U;
    constexpr std::size_t count = 2;
    run.need_concurrency();
    auto connections = connect_many(run, count, count);
    need_connections(run, connections, count);
    auto streams = for_stopped_readers(run, connections, 0);
    for (int cycle = 1; cycle <= cycles; ++cycle) {
        run.step(fmt::format("stop to read, {} of {}", cycle, cycles),
                 "the tool takes as much data as it likes for readers that have stopped",
                 Party::client, Party::server);
        for (auto& stream : streams) {
            stream.reads = false;
            stream.size = stream.written + most;
        }
        fill(run, streams, 5s);
        run.step(fmt::format("read on, {} of {}", cycle, cycles),
                 "all data for both readers arrives as it was written", Party::client,
                 Party::server);
        for (auto& stream : streams) {
            stream.reads = true;
        }
        transfer(streams, run.supervisor(), {.patience = run.config().timeouts.io});
    }
    for (auto& connection : connections) {
        run.round_trip(connection);
    }
}

inline constexpr Check flow_cycles{
    .id = "flow.cycles",
    .title = "two readers stop and read on, three times, and get everything",
    .level = Level::strict,
    .trait = trait::concurrent.name,
    .presumes = {"flow.pressure.up", "flow.pressure.down"},
    .run = stop_and_read_on};

} // namespace test_tunnel::check
