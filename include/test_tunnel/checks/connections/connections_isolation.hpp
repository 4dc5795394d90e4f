#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "test_tunnel/checks/detail/many_connections.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Carries different data both ways on 16 connections at once. A tool that has one buffer, or one
/// table, for all of them mixes them up, or runs out of something.
inline void carry_apart(PairRun& run) {
    run.need_concurrency();
    constexpr std::size_t count = 16;
    constexpr std::size_t least = 6;
    constexpr std::uint64_t size = 1U << 16U;
    constexpr std::uint64_t turn = size / 8;
    auto connections = connect_many(run, count, least);
    run.step("streams", "each connection carries its own data and no other's", Party::client,
             Party::server);
    std::vector<Stream> streams;
    for (std::size_t i = 0; i < connections.size(); ++i) {
        auto& [client, server] = connections[i];
        streams.push_back({.from = client,
                           .to = server,
                           .name = numbered(i, run.up),
                           .pattern = run.pattern(2 * i),
                           .pieces = odd_pieces});
        streams.push_back({.from = server,
                           .to = client,
                           .name = numbered(i, run.down),
                           .pattern = run.pattern(2 * i + 1),
                           .pieces = odd_pieces});
    }
    // In turns: else one connection after the other would be done in one go.
    const auto enough = run.soft_end();
    for (auto goal = turn; goal <= size && (!enough || !enough->passed()); goal += turn) {
        for (auto& stream : streams) {
            stream.size = goal;
        }
        transfer(streams, run.supervisor(),
                 {.patience = run.config().timeouts.io, .soft_end = enough});
    }
    run.step("no further bytes", "there is nothing on a connection that nobody has written",
             Party::tool, Party::client);
    std::vector<Socket*> sockets;
    for (auto& [client, server] : connections) {
        sockets.insert(sockets.end(), {&client, &server});
    }
    run.require_silence(sockets);
}

inline constexpr Check connections_isolation{
    .id = "connections.isolation",
    .title = "none of 16 connections that carry data at once gets the data of another one",
    .trait = trait::concurrent.name,
    .presumes = {"connections.burst", "data.duplex"},
    .run = carry_apart};

} // namespace test_tunnel::check
