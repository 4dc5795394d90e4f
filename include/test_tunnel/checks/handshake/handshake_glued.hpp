#pragma once

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has the server speak as soon as it is connected: what it says must arrive behind the reply, and
/// complete.
inline void speak_at_once(PairRun& run) {
    constexpr std::size_t size = 1000;
    const auto protocol = need_protocol(run);
    if (run.speaks_first()) {
        throw NotApplicable{fmt::format("it connects only when the client has spoken ({})",
                                        run.wording(trait::speaks_first.name))};
    }
    const auto total = script_of(protocol, run.pair().svc_listen.listen()).whole().size();
    // No protocol has a reply that begins like this.
    const auto greeting = "Greetings! " + run.pattern().bytes(0, size);
    auto socket = run.open_client();
    std::vector<Socket> servers;
    std::size_t sent = 0;
    const auto send = [&](Socket& to, std::string_view data) {
        to.write(data);
        sent += data.size();
        if (sent == total) {
            run.step("server speaks at once",
                     "what the server says as soon as it is connected arrives behind the reply",
                     Party::server, Party::client);
            // A tool may also connect after its reply: then it is not awaited for long.
            servers = arrivals(run, 1, Deadline::after(run.config().timeouts.io / 4));
            if (!servers.empty()) {
                servers.front().write(greeting);
            }
        }
    };
    HandshakeClient client{socket, send};
    run.step(StepKind::handshake, "the tool does its part of the handshake", Party::client);
    shake_hands(client, run.pair().svc_listen.listen(), protocol);
    if (servers.empty()) {
        servers.push_back(run.accept(socket));
        servers.front().write(greeting);
    }
    expect_read(socket, greeting, run.down);
    Connection connection{std::move(socket), std::move(servers.front())};
    run.round_trip(connection);
    run.require_silence({&connection.client, &connection.server});
}

inline constexpr Check handshake_glued{
    .id = "handshake.glued",
    .title = "what the server says as soon as it is connected arrives behind the reply",
    .run = speak_at_once};

} // namespace test_tunnel::check
