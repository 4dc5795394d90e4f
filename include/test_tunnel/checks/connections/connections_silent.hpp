#pragma once

#include <cstddef>

#include "test_tunnel/checks/detail/many_connections.hpp"
#include "test_tunnel/checks/detail/silent_clients.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has clients connect and say nothing, as scanners and browsers do: they may not keep others from
/// being served. Clients that stop in the middle of a handshake are not tried, since only the hook
/// knows what it consists of.
inline void connect_beside_silent_clients(PairRun& run) {
    run.need_concurrency();
    constexpr std::size_t count = 8;
    if (const auto most = run.most_at_once(); most && *most <= count) {
        throw NotApplicable{serves_only(run, *most)};
    }
    auto habit = ForSilent::unknown;
    {
        const auto connection = run.connect();
        habit = for_silent(run, connection);
    }
    auto silent = connect_silently(run, count, habit);
    auto ninth = run.connect();
    run.step("ninth client", fmt::format("it is served while {} others are silent", count),
             Party::client, Party::server);
    run.say(ninth.client, ninth.server, Party::client);
    run.say(ninth.server, ninth.client, Party::server);
    if (habit == ForSilent::waits) {
        run.kill_after_check(); // it may connect for the others now, or later
        return;
    }
    leave_silently(run, silent);
    run.sentinel();
}

inline constexpr Check connections_silent{
    .id = "connections.silent",
    .title = "8 clients that connect and send nothing do not keep a ninth from being served",
    .trait = trait::concurrent.name,
    .presumes = {"connections.burst"},
    .run = connect_beside_silent_clients};

} // namespace test_tunnel::check
