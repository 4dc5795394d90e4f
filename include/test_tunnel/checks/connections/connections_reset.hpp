#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/many_connections.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has the client of one connection reset it, and the server of another one: the tool must leave
/// the others alone.
inline void reset_two(PairRun& run) {
    using namespace std::chrono_literals;
    run.need_concurrency();
    constexpr std::size_t count = 4;
    auto connections = connect_many(run, count, count);
    need_connections(run, connections, count);
    for (auto& connection : connections) {
        run.round_trip(connection);
    }
    run.step("reset of two",
             "the tool closes both sides of connections 1 and 2, which were reset, and no others",
             Party::client, Party::server);
    connections[0].client.reset();
    connections[1].server.reset();
    // Until the tool has noticed. Whether it passes the reset on is for other checks to say.
    const auto deadline = Deadline::unscaled(run.wait(3s));
    await_ending(run, connections[0].server, deadline);
    await_ending(run, connections[1].client, deadline);
    std::vector<Socket*> others;
    for (std::size_t i = 2; i < count; ++i) {
        others.insert(others.end(), {&connections[i].client, &connections[i].server});
    }
    run.require_silence(others, run.wait(200ms));
    for (std::size_t i = 2; i < count; ++i) {
        run.step("round trip on another",
                 fmt::format("connection {} goes on when the client of connection 1 and the server "
                             "of connection 2 have reset theirs",
                             i + 1),
                 Party::client, Party::server);
        auto& [client, server] = connections[i];
        run.say(client, server, Party::client);
        run.say(server, client, Party::server);
    }
    connections.clear();
    run.sentinel();
}

inline constexpr Check connections_reset{
    .id = "connections.reset",
    .title = "two connections that are reset do not disturb the others",
    .trait = trait::concurrent.name,
    .presumes = {"connections.burst"},
    .run = reset_two};

} // namespace test_tunnel::check
