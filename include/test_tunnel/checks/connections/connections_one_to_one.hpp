#pragma once

#include <poll.h>

#include <array>
#include <chrono>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/silent_clients.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has a client say something that no tool takes for a handshake: no connection to the server may
/// come of it.
inline void failed_handshake(PairRun& run) {
    using namespace std::chrono_literals;
    auto client = run.connect_client();
    run.step("failed handshake",
             "no connection is made to the server for a client that has said nothing but nonsense",
             Party::client, Party::tool);
    try {
        client.write("\xff\xfe nonsense\r\n\r\n");
        const auto deadline = Deadline::unscaled(run.wait(2s));
        std::array events{client.event(POLLIN), run.listener().event(POLLIN)};
        run.wait_for(events, deadline, "the tool's answer");
    } catch (const SystemError&) {
        // It has ended the connection already.
    }
    client.close();
    run.wait_for(run.listener().event(POLLIN), Deadline::unscaled(run.wait(1s)),
                 "no connection to the server");
    // Not `run.try_accept`: what comes first on it need not come, since the client has gone.
    if (const auto server = run.take_arrival(); server && !run.is_eager()) {
        throw Unexpected{run.expected(),
                         fmt::format("a connection from {}; a tool that connects before the "
                                     "handshake has to declare {}",
                                     server->peer(), run.wording(trait::connects_eagerly, true))};
    }
    run.require_no_unasked_connection();
}

/// Counts the connections that arrive at the server: one for each client, even for those that say
/// nothing. A tool that connects in advance, or twice, burdens the server with connections that
/// nobody uses, and a protocol in which the server speaks first gets out of step.
inline void count_connections(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr int in_a_row = 5;
    auto habit = ForSilent::unknown;
    bool once = false;
    for (int i = 0; i < in_a_row; ++i) {
        const int before = run.connections();
        auto connection = run.connect();
        once = once || run.connections() <= before;
        habit = for_silent(run, connection);
        run.round_trip(connection);
        run.step(StepKind::end_of_stream, "the server sees the end when the client closes",
                 Party::client, Party::server);
        connection.client.close();
        run.demand_end(connection.server, run.up);
    }
    run.step("no further connections",
             fmt::format("after {} clients and {} connections to the server, no other one arrives",
                         in_a_row, in_a_row),
             Party::tool, Party::server);
    run.require_no_unasked_connection();
    run.settle();

    // One tool serves any number of silent clients at once, another one only the first.
    constexpr int clients = 3;
    const bool one_by_one = once || habit == ForSilent::connects;
    for (int i = 0; i < (one_by_one && !once ? clients : 1); ++i) {
        auto silent = connect_silently(run, one_by_one ? 1 : clients, habit);
        leave_silently(run, silent);
    }
    if (once || habit == ForSilent::waits) {
        run.kill_after_check(); // what it does for a client that has said nothing is not judged
        return;
    }
    run.step("no further connections", "the tool makes none for a client that has gone",
             Party::tool, Party::server);
    require_no_arrival(run, run.wait(500ms));
    if (run.strict() && habit == ForSilent::unknown) {
        failed_handshake(run);
    }
    run.sentinel();
}

inline constexpr Check connections_one_to_one{
    .id = "connections.one_to_one",
    .title = "the tool makes one connection to the server for each client, and no others",
    .trait = trait::connects_eagerly.name,
    .run = count_connections};

} // namespace test_tunnel::check
