#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "test_tunnel/checks/datagram/datagram_clients.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has connections and flows through one tool, and trouble on either: neither disturbs the other.
inline void serve_both_transports(PairRun& run) {
    using namespace std::chrono_literals;
    run.need_concurrency();
    need_flows_at_once(run);
    auto connection = run.connect();
    run.round_trip(connection);
    auto flow = run.flow();
    run.round_trip(connection);
    run.round_trip(flow);

    const auto target = run.pair().svc_listen.listen();
    run.datagram_server().close();
    run.step("errors of UDP", "a connection goes on while nobody receives datagrams", Party::client,
             Party::server);
    for (std::uint64_t i = 0; i < 5; ++i) {
        const auto word = "lost " + hex(run.pattern(10 + i).bytes(0, 8));
        flow.send(word);
        run.expect_again(word); // a slow tool may send it on when somebody receives again
        run.pause(1ms, "the tool to send on what the client says");
    }
    run.round_trip(connection);
    run.datagram_server() = bind_datagrams_to(run.config(), target);
    run.datagram_server().supervise(run.supervisor());
    run.round_trip(flow);
    run.forgive_losses(); // the first one may meet an error that has come back before

    {
        auto other = run.connect();
        run.round_trip(other);
        other.client.reset();
    }
    run.step("a reset", "flows go on when a connection has been reset", Party::client,
             Party::server);
    run.round_trip(flow);
    run.flow_sentinel();
    run.step("a stalled connection", "flows go on while a connection's reader has stopped",
             Party::client, Party::server);
    const auto data = run.pattern(1).bytes(0, 65536);
    constexpr std::size_t most = std::size_t{64} << 20U; // more than any tool should hold
    for (std::size_t written = 0, count = 1; count > 0 && written < most; written += count) {
        count = connection.client.try_write(data);
    }
    run.round_trip(flow);
    run.flow_sentinel();
}

inline constexpr Check datagram_beside_tcp{
    .id = "datagram.beside_tcp",
    .title = "connections and datagrams through one tool do not disturb each other",
    .needs = {.tcp = true, .udp = true},
    .trait = trait::concurrent.name,
    .run = serve_both_transports};

} // namespace test_tunnel::check
