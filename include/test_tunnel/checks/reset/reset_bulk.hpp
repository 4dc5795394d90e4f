#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "test_tunnel/checks/detail/after_reset.hpp"
#include "test_tunnel/checks/detail/carrying.hpp"
#include "test_tunnel/checks/detail/release.hpp"
#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// In which directions of a connection data is under way.
enum class Bulk {
    both,
    /// From the side that resets only: the other one has said nothing.
    forth,
    /// To the side that resets only, which has said nothing.
    back
};

/// Resets a connection while there is data under way. That may be lost, but what arrives must be
/// the beginning of what was written, and whoever is left must not wait for ever. Whether that side
/// sees a reset says little here: closing with data unread is one, too.
template <Party here>
void reset_in_bulk(PairRun& run, Leaving& leaving, Bulk bulk) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t first = 80 << 10;
    constexpr std::uint64_t whole = 4 << 20;
    auto connection = run.connect();
    const auto view = view_from(here, connection);
    const auto number = static_cast<std::uint64_t>(bulk);
    std::array<Stream, 2> streams{{{.from = view.near,
                                    .to = view.far,
                                    .name = view.forth,
                                    .pattern = run.pattern(number).derive(view.forth),
                                    .size = bulk == Bulk::back ? 0 : first},
                                   {.from = view.far,
                                    .to = view.near,
                                    .name = view.back,
                                    .pattern = run.pattern(number).derive(view.back),
                                    .size = bulk == Bulk::forth ? 0 : first}}};
    auto& [forth, back] = streams;
    run.step("bulk",
             bulk == Bulk::both
                 ? std::string{"80 KiB arrive in each direction"}
                 : fmt::format("{}: 80 KiB arrive", bulk == Bulk::forth ? view.forth : view.back),
             view.here, view.there);
    carry(run, streams, {.patience = run.config().timeouts.io});
    leaving.begins();

    const auto said =
        bulk == Bulk::both
            ? std::string{"both write"}
            : fmt::format("only the {} writes", bulk == Bulk::forth ? view.self : view.other);
    step_of_reset(run, view, said);
    forth.size = bulk == Bulk::back ? 0 : whole;
    back.size = bulk == Bulk::forth ? 0 : whole;
    forth.may_break = back.may_break = true;
    // Nobody reads: what the tool holds then must not get to anyone else.
    forth.reads = back.reads = false;
    carry(run, streams, {.patience = 2ms, .soft_end = Deadline::unscaled(50ms), .may_stall = true});
    view.near.reset();
    forth.size = forth.written;
    forth.reads = true;
    back.reads = false; // there is nobody any more
    const bool has_end = run.expects_end(direction_of(view));
    carry(run, streams,
          {.patience = has_end ? run.config().timeouts.io : run.wait(1s),
           .soft_end = run.soft_end(),
           .may_stall = true});
    if (!forth.ended && !has_end) {
        run.excuse_no_end(direction_of(view));
    } else if (!forth.ended) {
        throw Unexpected{run.expected(),
                         fmt::format("{}: neither came for {}\n({})", view.forth,
                                     text_of(scaled(run.config().timeouts.io)), forth.progress()),
                         Cause::timed_out};
    } else if (has_end && release_of(view) == Release::freed) {
        demand_release(run, view, Release::freed, said);
    }
    view.far.close();
    leaving.has_ended();
}

/// Does that with data under way in both directions, and in one.
template <Party here>
void reset_bulk(PairRun& run) {
    Leaving leaving{run};
    for (const auto bulk : {Bulk::both, Bulk::forth, Bulk::back}) {
        reset_in_bulk<here>(run, leaving, bulk);
    }
    leaving.demand_service();
}

inline constexpr Check reset_client_bulk{
    .id = "reset.client.bulk",
    .title =
        "the client resets with data under way; the server learns of it and gets no wrong data",
    .trait = trait::passes_eof.name,
    .presumes = {"data.bulk.up", "data.bulk.down"},
    .run = reset_bulk<Party::client>};

inline constexpr Check reset_server_bulk{
    .id = "reset.server.bulk",
    .title =
        "the server resets with data under way; the client learns of it and gets no wrong data",
    .trait = trait::passes_eof.name,
    .presumes = {"data.bulk.up", "data.bulk.down"},
    .run = reset_bulk<Party::server>};

} // namespace test_tunnel::check
