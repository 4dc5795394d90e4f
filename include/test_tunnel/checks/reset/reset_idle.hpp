#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "test_tunnel/checks/detail/after_reset.hpp"
#include "test_tunnel/checks/detail/both_ways.hpp"
#include "test_tunnel/checks/detail/release.hpp"
#include "test_tunnel/checks/detail/said.hpp"
#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Resets a connection on which no data is under way. The connections of a program that has crashed
/// end that way, and whoever is left must not wait for ever.
template <Party here>
void reset_idle(PairRun& run) {
    const bool expects_end = run.expects_end(direction_of(here));
    Leaving leaving{run};
    const auto reset = [&](Connection& connection, const std::string& said) {
        const auto view = view_from(here, connection);
        leaving.begins();
        step_of_reset(run, view, said);
        view.near.reset();
        const auto shown = learn_of_reset(run, view);
        if (shown) {
            run.judge(trait::reset, direction_of(view), *shown,
                      fmt::format("a reset by the {}", view.self));
        }
        const bool may_be_kept = shown == ResetShows::as_end && expects_end;
        if (may_be_kept && release_of(view) == Release::freed) {
            demand_release(run, view, Release::freed, said);
        }
        view.far.close();
        leaving.has_ended();
    };
    {
        auto connection = run.connect();
        run.round_trip(connection);
        reset(connection, "both said a line");
    }
    try_each(run, expects_end, [&](Before before, auto number) {
        auto connection = run.connect();
        const auto view = view_from(here, connection);
        say_before(run, view, before, number);
        reset(connection, said_in_words(run, view, before));
    });
    if (run.strict()) { // a download that is cut short must not look like one that is complete
        constexpr std::uint64_t much = 1 << 20;
        auto connection = run.connect();
        for (const auto& stream : both_ways(run, connection, much)) {
            run.transfer({stream}); // one after the other: not every tool does both at once
        }
        reset(connection, "both said 1 MiB");
    }
    leaving.demand_service();
}

inline constexpr Check reset_client_idle{
    .id = "reset.client.idle",
    .title = "the client resets an idle connection, and the server learns of it",
    .trait = trait::reset.name,
    .run = reset_idle<Party::client>};

inline constexpr Check reset_server_idle{
    .id = "reset.server.idle",
    .title = "the server resets an idle connection, and the client learns of it",
    .trait = trait::reset.name,
    .run = reset_idle<Party::server>};

} // namespace test_tunnel::check
