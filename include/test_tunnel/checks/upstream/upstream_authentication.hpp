#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "test_tunnel/checks/detail/odd_upstream.hpp"
#include "test_tunnel/handshakes/protocol.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has the upstream proxy ask for credentials at length: a 407 whose content no client is to be
/// sent, or may take for the answer to its next request. A tool that brings its credentials at once
/// is granted what it asks.
inline void challenge_at_length(PairRun& run) {
    const auto& upstream = need_upstream(run);
    if (!std::holds_alternative<HttpConnectOptions>(upstream) || !user_of(upstream)) {
        throw NotApplicable{"its upstream proxy asks for no credentials in HTTP"};
    }
    const auto challenge = [&](std::string_view content, const std::string& answer) {
        demand_grant(run, fmt::format("after a 407 with {}", content), {}, [&](Socket& tool) {
            static_cast<void>(detail::read_http(
                tool, run.pair().svc_listen.listen(),
                detail::accept_options(upstream, run.upstream().names()), answer));
            tool.write(detail::http_success);
        });
    };
    for (const std::size_t size : {std::size_t{10}, std::size_t{10'000}}) {
        challenge(fmt::format("{} bytes of content (RFC 9110 §15.5.8)", size),
                  detail::http_challenge(size));
    }
    if (run.strict()) {
        challenge("content in two chunks (RFC 9112 §7.1)",
                  detail::http_challenge("Transfer-Encoding: chunked",
                                         "5\r\nWho? \r\n4\r\nYou?\r\n0\r\n\r\n"));
    }
}

inline constexpr Check upstream_authentication{
    .id = "upstream.authentication",
    .title = "the client is connected when the upstream has asked for credentials at length",
    .run = challenge_at_length};

} // namespace test_tunnel::check
