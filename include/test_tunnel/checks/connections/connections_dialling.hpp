#pragma once

#include <cstddef>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/full_queue.hpp"
#include "test_tunnel/checks/detail/many_connections.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has a client come while the server, for a second, can't be connected to: the tool may not make
/// those wait that are connected already.
inline void dial_for_long(PairRun& run) {
    constexpr std::size_t count = 2;
    run.need_concurrency();
    auto connections = connect_many(run, count, count);
    need_connections(run, connections, count);
    FullQueue queue{run};
    const auto client = connect_in_vain(run, queue);
    run.step("others go on",
             "connections carry data while the tool waits for the server to take another one",
             Party::client, Party::server);
    for (auto& connection : connections) {
        run.say(connection.client, connection.server, Party::client);
        run.say(connection.server, connection.client, Party::server);
    }
    queue.release();
    arrivals(run, 1, Deadline::after(run.config().timeouts.io));
}

inline constexpr Check connections_dialling{
    .id = "connections.dialling",
    .title = "a client for which the server can't be reached yet does not hold up the others",
    .level = Level::strict,
    .trait = trait::concurrent.name,
    .run = dial_for_long};

} // namespace test_tunnel::check
