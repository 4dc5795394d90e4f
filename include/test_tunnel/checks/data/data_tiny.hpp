#pragma once

#include <chrono>
#include <cstdint>

#include "test_tunnel/checks/detail/both_ways.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Carries 4 KiB each way, every byte in a write of its own. Each of the first ones is awaited
/// before the next one is written, so that the tool really gets them one by one.
inline void carry_single_bytes(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t size = 4096;
    constexpr std::uint64_t least = 10;
    constexpr std::uint64_t awaited = 64;
    auto connection = run.connect();
    auto streams = both_ways(run, connection, size, single_bytes);
    TransferOptions options{.patience = run.config().timeouts.io};
    for (auto& stream : streams) {
        run.step("single bytes",
                 fmt::format("{}: each byte arrives before the next one is written", stream.name));
        const auto end = Deadline::unscaled(100ms);
        for (stream.size = 1; stream.size <= awaited && (stream.size <= least || !end.passed());
             ++stream.size) {
            test_tunnel::transfer({&stream, 1}, run.supervisor(), options);
        }
        stream.size = size;
    }
    run.step("many single bytes", "4 KiB, one byte at a time, arrive both ways at once",
             Party::client, Party::server);
    options.soft_end = run.soft_end();
    test_tunnel::transfer(streams, run.supervisor(), options);
    run.round_trip(connection);
}

inline constexpr Check data_tiny{.id = "data.tiny",
                                 .title = "4 KiB go each way, written one byte at a time",
                                 .run = carry_single_bytes};

} // namespace test_tunnel::check
