#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Returns both directions of a connection, each with `size` bytes of different data, to be written
/// in `pieces`.
inline std::array<Stream, 2> both_ways(PairRun& run, Connection& connection, std::uint64_t size,
                                       std::span<const std::size_t> pieces = large_pieces) {
    auto& [client, server] = connection;
    return {Stream{.from = client,
                   .to = server,
                   .name = PairRun::up,
                   .pattern = run.pattern(0),
                   .size = size,
                   .pieces = pieces},
            Stream{.from = server,
                   .to = client,
                   .name = PairRun::down,
                   .pattern = run.pattern(1),
                   .size = size,
                   .pieces = pieces}};
}

} // namespace test_tunnel::check
