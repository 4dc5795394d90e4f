#pragma once

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/both_ways.hpp"
#include "test_tunnel/checks/detail/growth.hpp"
#include "test_tunnel/checks/detail/odd_kinds.hpp"
#include "test_tunnel/checks/detail/odd_requests.hpp"
#include "test_tunnel/checks/detail/refusal.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Waits until a side has seen that the other one has gone, for a second at most: that it must is
/// for other checks.
inline void wait_for_end(PairRun& run, Socket& left) {
    using namespace std::chrono_literals;
    run.wait_for(left.event(POLLIN), Deadline::after(1s), "the end of the connection");
    left.close();
}

/// So much that a tool which keeps some of what it has carried is seen to, and no more than a slow
/// one carries in no time.
inline constexpr std::uint64_t carried_each_way = 32 << 10;

/// Closes whatever has arrived at the server for a client that is not to be served.
inline void hang_up_on_arrivals(PairRun& run) {
    run.expect_arrival();
    while (run.take_arrival()) {
    }
    run.take_strays().clear();
}

/// Has clients come and go that leave, or are sent away, before they are served.
inline void come_in_vain(PairRun& run) {
    using namespace std::chrono_literals;
    demand_no_growth(run, "clients that reset before they say a word", [&] {
        run.connect_client().reset();
        hang_up_on_arrivals(run);
    });
    const auto protocol = run.protocol();
    const bool has_handshake = !std::holds_alternative<std::monostate>(protocol);
    if (has_handshake) {
        demand_no_growth(run, "clients that leave in the middle of the handshake", [&] {
            auto client = run.open_client();
            client.write(std::string_view{"\5", 1});
        });
    }
    if (has_handshake || run.client_header() || run.tls(Party::client)) {
        demand_no_growth(run, "clients that say what is no handshake", [&] {
            auto client = run.connect_client();
            client.write("no handshake\r\n\r\n");
            run.wait_for(client.event(POLLIN), Deadline::unscaled(50ms), "the refusal");
            hang_up_on_arrivals(run);
        });
    }
    if (demands_password(protocol)) {
        const auto wrong = unauthorized_requests.of(protocol, run.pair().svc_listen.server());
        demand_no_growth(run, "clients with a wrong password", [&] {
            reaction_to(run, wrong.front(), protocol, run.config().timeouts.io);
        });
    }
}

/// Has clients come and go in each way there is, many of each, and looks at what the tool has kept:
/// of descriptors, threads, processes or memory, there may not be more and more.
inline void come_and_go(PairRun& run) {
    if (serves_once(run)) {
        throw NotApplicable{serves_just_one(run)};
    }
    bool is_clients_turn = false;
    /// One side and then the other, in turn.
    const auto ends_of = [&](Connection& connection) {
        is_clients_turn = !is_clients_turn;
        auto& [client, server] = connection;
        return is_clients_turn ? std::pair<Socket&, Socket&>{client, server}
                               : std::pair<Socket&, Socket&>{server, client};
    };
    demand_no_growth(run, "clients and servers that close", [&] {
        auto connection = run.connect();
        run.round_trip(connection);
        for (const auto& stream : both_ways(run, connection, carried_each_way)) {
            run.transfer({stream}); // one after the other: not every tool does both at once
        }
        const auto [first, second] = ends_of(connection);
        first.close();
        wait_for_end(run, second);
    });
    demand_no_growth(run, "clients and servers that end their direction, then close", [&] {
        auto connection = run.connect();
        const auto [first, second] = ends_of(connection);
        first.shutdown_write();
        wait_for_end(run, second);
        wait_for_end(run, first);
    });
    demand_no_growth(run, "clients and servers that reset", [&] {
        auto connection = run.connect();
        run.round_trip(connection);
        const auto [first, second] = ends_of(connection);
        first.reset();
        wait_for_end(run, second);
    });
    come_in_vain(run);
    try {
        close_target(run);
    } catch (const NotApplicable&) { // nobody is refused on this machine
        return;
    }
    demand_no_growth(run, "clients whose target can't be reached", [&] { await_refusal(run); });
    run.listener().listen();
}

inline constexpr Check resources_growth{
    .id = "resources.growth",
    .title = "many clients leave nothing behind: no descriptors, threads, processes or memory",
    .level = Level::strict,
    .presumes = {"connections.reuse"},
    .run = come_and_go};

} // namespace test_tunnel::check
