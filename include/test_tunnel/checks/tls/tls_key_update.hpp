#pragma once

#include <cstddef>
#include <string_view>

#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/net/expect.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has a side ask the tool for new keys, which must use such before it sends its next data (RFC
/// 8446 §4.6.3): that is what the other side says when it has got what came behind the request.
inline void ask_for_new_keys(PairRun& run, Connection& connection, Party here) {
    const auto view = view_from(here, connection);
    const auto before = view.near.renewals();
    if (!view.near.renew_keys(true)) {
        return;
    }
    run.step("asked for new keys",
             fmt::format("the tool uses new keys with the {}, which has asked for that, before it "
                         "sends its next data (RFC 8446 §4.6.3)",
                         view.self),
             view.here, Party::tool);
    run.say(view.near, view.far, view.here);
    run.say(view.far, view.near, view.there);
    if (view.near.renewals() > before) {
        return;
    }
    if (run.strict()) {
        throw Unexpected{run.expected(), "its next data came with the old ones"};
    }
    run.note(fmt::format("it does not use new keys when the {} asks for that (RFC 8446 §4.6.3)",
                         view.self));
}

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
    ask_for_new_keys(run, connection, Party::client);
    ask_for_new_keys(run, connection, Party::server);
}

inline constexpr Check tls_key_update{
    .id = "tls.key_update",
    .title = "TLS 1.3: data goes on, both ways, while each side changes its keys",
    .run = renew_keys};

} // namespace test_tunnel::check
