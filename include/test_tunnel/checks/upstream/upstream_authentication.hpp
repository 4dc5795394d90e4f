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
    for (const std::size_t size : {std::size_t{10}, std::size_t{10'000}}) {
        demand_grant(run,
                     fmt::format("after a 407 with {} bytes of content (RFC 9110 §15.5.8)", size),
                     {}, [&](Socket& tool) {
                         static_cast<void>(detail::read_http(
                             tool, run.pair().svc_listen.listen(),
                             detail::accept_options(upstream, run.upstream().names()),
                             detail::http_challenge(size)));
                         tool.write(detail::http_success);
                     });
    }
}

inline constexpr Check upstream_authentication{
    .id = "upstream.authentication",
    .title = "the client is connected when the upstream has asked for credentials at length",
    .run = challenge_at_length};

} // namespace test_tunnel::check
