#pragma once

#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Looks four times from where the tool connects: a tool may be right once, or report the same
/// address each time. PairRun::verify_source compares them, here as for every connection.
inline void look_at_sources(PairRun& run) {
    constexpr int count = 4;
    for (int i = 0; i < count; ++i) {
        auto connection = run.connect();
        const auto from = connection.server.peer();
        const auto& given = run.pair().svc_listen.clients.front();
        run.step("family", fmt::format("the tool connects over IPv{}", family_id(given.family())),
                 Party::tool, Party::server);
        if (from.address.family() != given.family()) {
            throw Unexpected{run.expected(), fmt::format("a connection from {}", from)};
        }
        run.round_trip(connection);
        connection.client.close();
        run.demand_end(connection.server, run.up);
    }
}

inline constexpr Check address_source{
    .id = "address.source",
    .title = "the tool connects to the server from the address that it was given",
    .trait = trait::binds_source.name,
    .run = look_at_sources};

} // namespace test_tunnel::check
