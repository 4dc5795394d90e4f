#pragma once

#include "test_tunnel/checks/detail/odd_kinds.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"

namespace test_tunnel::check {

inline constexpr Check handshake_invalid{
    .id = "handshake.invalid",
    .title = "requests that the protocol forbids are refused, and no connection is made for them",
    .level = Level::strict,
    .trait = trait::accepts.name,
    .run = try_requests<invalid_requests>};

} // namespace test_tunnel::check
