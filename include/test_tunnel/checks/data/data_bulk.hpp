#pragma once

#include <cstdint>

#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Carries 1 MiB in one direction, in pieces of odd sizes, then does a round trip: nothing may be
/// lost or added.
template <Party writer>
void carry_bulk(PairRun& run) {
    constexpr std::uint64_t size = 1U << 20U;
    auto connection = run.connect();
    const auto view = view_from(writer, connection);
    run.step("bulk", "1 MiB arrives as it was written", view.here, view.there);
    run.transfer({{.from = view.near,
                   .to = view.far,
                   .name = view.forth,
                   .pattern = run.pattern(),
                   .size = size,
                   .pieces = odd_pieces}});
    run.round_trip(connection);
}

inline constexpr Check data_bulk_up{
    .id = "data.bulk.up",
    .title = "1 MiB goes from the client to the server, in pieces of odd sizes",
    .run = carry_bulk<Party::client>};

inline constexpr Check data_bulk_down{
    .id = "data.bulk.down",
    .title = "1 MiB goes from the server to the client, in pieces of odd sizes",
    .run = carry_bulk<Party::server>};

} // namespace test_tunnel::check
