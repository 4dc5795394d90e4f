#pragma once

#include "test_tunnel/checks/detail/odd_kinds.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"

namespace test_tunnel::check {

inline constexpr Check handshake_truncated{
    .id = "handshake.truncated",
    .title = "no connection is made for requests that end too early",
    .level = Level::strict,
    .trait = trait::accepts.name,
    .run = try_requests<truncated_requests>};

} // namespace test_tunnel::check
