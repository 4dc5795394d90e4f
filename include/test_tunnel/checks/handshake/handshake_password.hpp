#pragma once

#include <variant>

#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/checks/detail/odd_kinds.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/handshakes/http_connect.hpp"
#include "test_tunnel/handshakes/socks5.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Tries wrong users and passwords, and none: nobody may be served with them, and no connection be
/// made.
inline void try_passwords(PairRun& run) {
    const auto protocol = need_protocol(run);
    const auto* socks5 = std::get_if<Socks5Options>(&protocol);
    const auto* http = std::get_if<HttpConnectOptions>(&protocol);
    const bool may_go_without = socks5 != nullptr && socks5->offer_no_authentication;
    const bool has_user = (socks5 != nullptr && socks5->user) || (http != nullptr && http->user);
    if (may_go_without || !has_user) {
        throw NotApplicable{fmt::format("its protocol ({}) demands no user and password",
                                        detail::wording_of_protocol(run.config().dialect))};
    }
    try_requests<unauthorized_requests>(run);
}

inline constexpr Check handshake_password{
    .id = "handshake.password",
    .title = "wrong users and passwords, and none, are refused, and no connection is made for them",
    .trait = trait::accepts.name,
    .run = try_passwords};

} // namespace test_tunnel::check
