#pragma once

#include "test_tunnel/checks/detail/handshake_client.hpp"
#include "test_tunnel/checks/detail/odd_kinds.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Tries wrong users and passwords, and none: nobody may be served with them, and no connection be
/// made.
inline void try_passwords(PairRun& run) {
    const auto protocol = need_protocol(run);
    if (!demands_password(protocol)) {
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
