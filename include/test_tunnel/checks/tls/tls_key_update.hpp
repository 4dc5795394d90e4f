#pragma once

#include <cstddef>
#include <string_view>

#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has both sides, as far as they speak TLS 1.3 with the tool, use new keys again and again while
/// data is under way both ways (RFC 8446 §4.6.3): asking the tool to do so, too, and not.
inline void renew_keys(PairRun& run) {
    constexpr int rounds = 8;
    constexpr std::size_t size = 20'000; // more than a record, less than any buffer
    if (!run.tls(Party::client) && !run.tls(Party::server)) {
        throw NotApplicable{"neither side is declared to speak TLS with it"};
    }
    auto connection = run.connect();
    auto& [client, server] = connection;
    const auto pattern = run.pattern();
    const bool client_can = client.renew_keys(false);
    const bool server_can = server.renew_keys(false);
    if (!client_can && !server_can) {
        throw NotApplicable{"neither the client nor the server speaks TLS 1.3 with it"};
    }
    for (int round = 0; round < rounds; ++round) {
        const bool asks = round % 2 == 1;
        const auto at = static_cast<std::size_t>(round) * size;
        run.step("new keys",
                 fmt::format("{} bytes arrive each way, in the midst of which the sides use new "
                             "keys, and {} the tool to do so",
                             size, asks ? "ask" : "do not ask"),
                 Party::client, Party::server);
        const auto text = pattern.bytes(at, size);
        const auto half = std::string_view{text}.substr(0, size / 2);
        client.write(half);
        server.write(half);
        client.renew_keys(asks);
        server.renew_keys(asks);
        client.write(std::string_view{text}.substr(half.size()));
        server.write(std::string_view{text}.substr(half.size()));
        expect_read(server, text, run.up);
        expect_read(client, text, run.down);
    }
    run.step("new keys in silence", "data arrives behind keys that nobody has used", Party::client,
             Party::server);
    client.renew_keys(true);
    server.renew_keys(true);
    run.say(server, client, Party::server);
    run.say(client, server, Party::client);
}

inline constexpr Check tls_key_update{
    .id = "tls.key_update",
    .title = "TLS 1.3: data goes on, both ways, while each side changes its keys",
    .run = renew_keys};

} // namespace test_tunnel::check
