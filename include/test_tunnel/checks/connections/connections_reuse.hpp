#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/growth.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/process/tool_usage.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Makes one connection after the other, closed by the client and the server in turn. What a tool
/// does not give back (a slot, a descriptor, a thread) runs out sooner or later.
inline void connect_in_a_row(PairRun& run) {
    using namespace std::chrono_literals;
    const int count = run.strict() ? 1000 : 100;
    constexpr int least = 10;
    constexpr int warm_up = 20;
    // A slow tool takes its time for the data, but only the connections count.
    const auto enough =
        run.strict() ? Deadline::after(run.config().timeouts.check / 2) : Deadline::unscaled(5s);
    std::optional<ToolUsage> before;
    int made = 0;
    while (made < count && (made < least || !enough.passed())) {
        const int earlier = run.connections();
        auto connection = run.connect();
        if (made > 0 && run.connections() <= earlier) {
            run.round_trip(connection);
            connection.client.close();
            run.demand_end(connection.server, run.up);
            connection.server.close();
            run.settle();
            throw NotApplicable{serves_just_one(run)};
        }
        ++made;
        auto& [client, server] = connection;
        run.step("round trip",
                 fmt::format("the tool carries connection {} of {} in a row", made, count),
                 Party::client, Party::server);
        run.say(client, server, Party::client);
        run.say(server, client, Party::server);
        const bool client_closes = made % 2 == 1;
        auto& first = client_closes ? client : server;
        auto& second = client_closes ? server : client;
        first.close();
        run.demand_end(second, client_closes ? run.up : run.down);
        second.close();
        if (run.strict() && made == warm_up) {
            before = settled_usage(run, ToolUsage{}, 0, 500ms);
        }
    }
    run.require_no_unasked_connection();
    if (before && made > warm_up) {
        // Some tools grow once, and no more.
        const auto slack = std::max<std::size_t>(5, static_cast<std::size_t>(made) / 20);
        run.step("what is open",
                 fmt::format("after {} connections the tool has no more open than after "
                             "{}: {}",
                             made, warm_up, before->text()));
        const auto after = settled_usage(run, *before, slack, 5s);
        if (after && !after->is_near(*before, slack)) {
            throw Unexpected{run.expected(), after->text()};
        }
    }
}

inline constexpr Check connections_reuse{
    .id = "connections.reuse",
    .title =
        "100 connections in a row are all served; strict: 1,000, and then nothing is left open",
    .trait = trait::serves_again.name,
    .run = connect_in_a_row};

} // namespace test_tunnel::check
