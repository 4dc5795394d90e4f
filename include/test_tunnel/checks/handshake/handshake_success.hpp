#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/handshakes/detail/http_answer.hpp"
#include "test_tunnel/handshakes/http_connect.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/handshakes/socks4.hpp"
#include "test_tunnel/handshakes/socks5.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Looks at what a tool says besides that it is connected: what no client needs, and some do not
/// understand.
inline void look_at_success(PairRun& run) {
    const auto protocol = need_protocol(run);
    if (std::holds_alternative<Socks4Options>(protocol)) {
        throw NotApplicable{"a reply of SOCKS4 says nothing but that it is connected"};
    }
    const auto target = run.pair().svc_listen.listen();
    auto socket = run.open_client();
    run.step("reply", "the reply of success has nothing that its protocol forbids", Party::tool,
             Party::client);
    HandshakeClient client{socket};
    if (std::holds_alternative<Socks5Options>(protocol)) {
        if (!shake_hands(client, target, protocol)) {
            run.note(
                "its reply tells by a name from where it connects, on which common clients fail "
                "(RFC 1928 §6)");
        }
    } else {
        client.write(script_of(protocol, target).request);
        const auto head = detail::read_http_head(client);
        if (!head.is_success()) {
            throw Unexpected{"2xx in the answer to CONNECT (RFC 9110 §9.3.6)",
                             detail::escape_controls(head.line())};
        }
        const bool announces =
            !head.values("content-length").empty() || !head.values("transfer-encoding").empty();
        run.judge(trait::announces_content, announces);
    }
    round_trip_after_handshake(run, std::move(socket));
}

inline constexpr Check handshake_success{
    .id = "handshake.success",
    .title = "a reply of success to CONNECT announces no content",
    .trait = trait::announces_content.name,
    .run = look_at_success};

} // namespace test_tunnel::check
