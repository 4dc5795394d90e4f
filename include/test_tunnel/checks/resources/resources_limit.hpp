#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/descriptor_limits.hpp"
#include "test_tunnel/checks/detail/many_connections.hpp"
#include "test_tunnel/checks/detail/resting.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/process/detail/settle.hpp"
#include "test_tunnel/process/tool_usage.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Clients that stay, until the tool can't take any more: as many as it has descriptors left, and
/// some more. None of them is waited for, since a tool may leave them where they are, or close its
/// listener for a while.
inline std::vector<Socket> crowd(PairRun& run, std::size_t count) {
    constexpr Duration patience = std::chrono::seconds{1};
    const auto& from = run.pair().proxy_listen.clients.front();
    const auto to = run.pair().proxy_listen.listen();
    std::vector<Socket> result;
    for (std::size_t i = 0; i < count; ++i) {
        auto client = bind_to(run.config(), {from, 0});
        client.set_timeout(patience);
        client.supervise(run.supervisor());
        try {
            if (!client.try_connect(to)) {
                break; // it takes no more
            }
            run.expect_arrival();
            if (run.speaks_first()) {
                client.write("Is anybody there?\n");
            }
        } catch (const SystemError&) { // it ends this one
            continue;
        } catch (const TimedOut&) { // its queue is full
            break;
        }
        result.push_back(std::move(client));
    }
    return result;
}

/// Closes what the tool still connects onwards for clients that have gone, until it has no more
/// descriptors than `before`, or has had the time for that: its side of such a connection stays
/// open as long as the server's does.
inline void end_arrivals(PairRun& run, std::size_t before) {
    using namespace std::chrono_literals;
    const auto quiet = scaled(100ms);
    const auto deadline = Deadline::after(run.config().timeouts.io);
    while (!deadline.passed()) {
        const bool none = arrivals(run, 1, Deadline::unscaled(quiet)).empty();
        const auto now = usage_of(run.tool());
        if (none && (!now || now->descriptors() <= before)) {
            return;
        }
    }
}

/// Demands that a connection that was open before goes on, or has been ended: a tool may make room
/// so. Returns whether it goes on.
inline bool goes_on(PairRun& run, Connection& connection) {
    const bool client_ended = await_ending(run, connection.client, Deadline::now()).has_value();
    if (client_ended || await_ending(run, connection.server, Deadline::now())) {
        return false;
    }
    run.say(connection.client, connection.server, Party::client);
    run.say(connection.server, connection.client, Party::server);
    return true;
}

/// Has so many clients come that the tool runs out of descriptors: what is open goes on, the tool
/// does not try again and again without a pause, and when the clients have gone others are served.
inline void run_out_of_descriptors(PairRun& run) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t spare = 24;
    constexpr std::size_t clients = 64;
    constexpr std::size_t open = 2;
    constexpr std::size_t some = 4;
    run.need_concurrency();
    auto connections = connect_many(run, open, open);
    need_connections(run, connections, open);
    for (auto& connection : connections) {
        run.round_trip(connection);
    }
    const auto before = usage_of(run.tool()).value_or(ToolUsage{}).descriptors();
    ScarceDescriptors limit{run.tool(), spare};
    if (!limit.are_scarce()) {
        throw NotApplicable{"the tool's limit of descriptors can't be set on this system"};
    }
    run.step("crowd",
             fmt::format("the tool, with {} descriptors left, runs on when {} clients come", spare,
                         clients),
             Party::client, Party::tool);
    std::vector<Socket> silent;
    while (silent.size() < clients) {
        // Not all at once: a tool that accepts many before it connects onwards for the first of
        // them would have to end all of these, and then have as many descriptors left as before.
        auto more = crowd(run, some);
        detail::wait_until_idle(run.tool(), 50ms);
        if (more.empty()) {
            break;
        }
        std::move(more.begin(), more.end(), std::back_inserter(silent));
    }
    detail::wait_until_idle(run.tool(), 1s);
    // It may have accepted all of them, and closed them when it could not connect onwards: for the
    // next one it can't do that.
    limit.take_all();
    auto last = crowd(run, some);
    demand_rest(run, "it has no descriptor left");
    run.step("others go on", "connections that were open before carry data, or are ended",
             Party::client, Party::server);
    bool all_go_on = true;
    for (auto& connection : connections) {
        all_go_on = goes_on(run, connection) && all_go_on;
    }
    if (!all_go_on) {
        run.note("it ends open connections when it has no descriptor left");
    }
    silent.clear();
    last.clear();
    connections.clear();
    end_arrivals(run, before);
    require_service_in_time_after(run, "clients have gone that had taken all its descriptors");
}

inline constexpr Check resources_limit{
    .id = "resources.limit",
    .title =
        "with no descriptor left, the tool serves those it has, rests, and serves others later",
    .level = Level::strict,
    .trait = trait::concurrent.name,
    .presumes = {"connections.burst", "resources.cpu"},
    .run = run_out_of_descriptors};

} // namespace test_tunnel::check
