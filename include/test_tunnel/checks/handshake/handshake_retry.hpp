#pragma once

#include <string>
#include <utility>
#include <variant>

#include "test_tunnel/checks/detail/after_refusal.hpp"
#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/checks/detail/odd_kinds.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/handshakes/detail/http_answer.hpp"
#include "test_tunnel/handshakes/http_connect.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Asks without user and password first, and reads all of the answer. Returns whether the
/// connection can be used again: whether the answer does not announce its end. Throws
/// NotApplicable where there is no answer.
inline bool ask_without_user(PairRun& run, HandshakeClient& client, const Endpoint& target,
                             const HttpConnectOptions& options) {
    constexpr int proxy_authentication_required = 407;
    auto without = options;
    without.user.reset();
    without.password.reset();
    run.step("without a user",
             "the answer has the content that it announces, and tells where it ends the connection",
             Party::client, Party::tool);
    detail::HttpHead head;
    const auto asked = attempt(client, [&](HandshakeClient& each) {
        each.write(script_of(without, target).request);
        head = detail::read_http_head(each);
    });
    if (asked.answer == Answer::ended) {
        throw NotApplicable{"it ends the connection without an answer"};
    }
    if (asked.answer != Answer::served) {
        throw Unexpected{run.expected(), asked.text};
    }
    if (head.status != proxy_authentication_required) {
        throw NotApplicable{
            fmt::format("it answers '{}', and not 407", detail::escape_controls(head.line()))};
    }
    const auto content =
        attempt(client, [&](HandshakeClient& each) { detail::read_http_content(each, head); });
    if (content.answer != Answer::served) {
        judge_by_name(run, "http.retry.content",
                      fmt::format("the content of its 407 is not as announced (RFC 9112 §6.3): {}",
                                  content.text));
        return false;
    }
    return !detail::announces_end(head);
}

/// Asks without user and password, and then with them on the same connection, as clients do that
/// wait until they are asked for them.
inline void ask_again(PairRun& run) {
    require_known(run);
    const auto protocol = need_protocol(run);
    const auto* http = std::get_if<HttpConnectOptions>(&protocol);
    if (http == nullptr || !http->user) {
        throw NotApplicable{fmt::format("its protocol ({}) asks for no user by a 407",
                                        detail::wording_of_protocol(run.config().dialect))};
    }
    const auto target = run.pair().svc_listen.listen();
    auto socket = run.open_client();
    HandshakeClient client{socket};
    if (!ask_without_user(run, client, target, *http)) {
        run.note("its 407 ends the connection: clients have to connect again");
        run.sentinel();
        return;
    }
    run.step("retry",
             "the same client is served when it says user and password, since the 407 has not "
             "announced the end of the connection",
             Party::client, Party::tool);
    const auto result =
        attempt(client, [&](HandshakeClient& each) { shake_hands(each, target, protocol); });
    if (result.answer == Answer::served) {
        round_trip_after_handshake(run, std::move(socket));
    } else {
        judge_by_name(run, "http.retry.not_served",
                      fmt::format("a retry on the same connection is not served (RFC 9112 §9.3): "
                                  "{}",
                                  result.text));
    }
    run.sentinel();
}

inline constexpr Check handshake_retry{
    .id = "handshake.retry",
    .title = "a client that is asked for user and password says them on the same connection",
    .level = Level::strict,
    .trait = trait::accepts.name,
    .run = ask_again};

} // namespace test_tunnel::check
