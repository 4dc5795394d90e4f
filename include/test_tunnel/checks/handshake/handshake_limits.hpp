#pragma once

#include "test_tunnel/checks/detail/odd_kinds.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"

namespace test_tunnel::check {

inline constexpr Check handshake_limits{
    .id = "handshake.limits",
    .title = "requests with names, passwords and headers of the greatest length are answered",
    .level = Level::strict,
    .trait = trait::accepts.name,
    .run = try_requests<long_requests>};

} // namespace test_tunnel::check
