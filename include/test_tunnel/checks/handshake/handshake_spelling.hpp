#pragma once

#include "test_tunnel/checks/detail/odd_kinds.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"

namespace test_tunnel::check {

inline constexpr Check handshake_spelling{
    .id = "handshake.spelling",
    .title = "requests are served in whatever way they are written, as the protocol allows",
    .level = Level::strict,
    .trait = trait::accepts.name,
    .run = try_requests<spelled_requests>};

} // namespace test_tunnel::check
