#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

#include "test_tunnel/checks/detail/awaiting.hpp"
#include "test_tunnel/checks/detail/carrying.hpp"
#include "test_tunnel/checks/detail/fill.hpp"
#include "test_tunnel/checks/detail/full_queue.hpp"
#include "test_tunnel/checks/detail/refusal.hpp"
#include "test_tunnel/checks/detail/resting.hpp"
#include "test_tunnel/checks/detail/socket_options.hpp"
#include "test_tunnel/checks/detail/view.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/stream.hpp"
#include "test_tunnel/process/detail/cpu_use.hpp"
#include "test_tunnel/process/detail/spinning.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Has a side end its direction, and then nobody say anything.
template <Party from>
void rest_half_closed(PairRun& run, std::string_view when) {
    auto connection = run.connect();
    run.round_trip(connection);
    view_from(from, connection).near.shutdown_write();
    demand_rest(run, when);
}

/// Waits until the tool takes nothing more of what was written to it, and passes nothing on to a
/// reader that has stopped; false where it still does when `deadline` has passed, and works
/// rightly.
inline bool stands_still(PairRun& run, const Endpoint& tool, const Endpoint& writer,
                         const Socket& reader, Deadline deadline) {
    using namespace std::chrono_literals;
    const auto look = [&] {
        return std::pair{unread_until_end(tool, writer).value_or(0), reader.pending()};
    };
    for (auto before = look(); !deadline.passed();) {
        run.pause(20ms, "the tool to wait for its reader");
        if (const auto now = look(); std::exchange(before, now) == now) {
            return true;
        }
    }
    return false;
}

/// Has the tool wait for a reader.
template <Party from>
void rest_blocked(PairRun& run, std::string_view when) {
    using namespace std::chrono_literals;
    constexpr std::uint64_t most = 16U << 20U;
    auto connection = run.connect();
    const auto view = view_from(from, connection);
    limit_send_buffer(view.near);
    std::array streams{Stream{.from = view.near,
                              .to = view.far,
                              .name = view.forth,
                              .pattern = run.pattern(),
                              .size = most,
                              .reads = false}};
    run.step("fill",
             fmt::format("{}: the tool makes the writer wait, or takes {} bytes", view.forth, most),
             view.here, view.there);
    limit_receive_buffer(view.far);
    if (run.strict()) {
        fill(run, streams, 5s);
    } else { // it need not be full; but now nothing more is written
        constexpr auto enough = 300ms;
        carry(run, streams,
              {.patience = 20ms, .soft_end = Deadline::unscaled(enough), .may_stall = true});
    }
    const auto deadline = Deadline::unscaled(run.wait(3s));
    if (stands_still(run, view.near.peer(), view.near.local(), view.far, deadline)) {
        demand_rest(run, when);
    }
}

/// Has the tool connect to a server that does not answer yet.
inline void rest_dialling(PairRun& run) {
    FullQueue queue{run};
    queue.fill();
    auto client = run.connect_client();
    run.expect_arrival();
    if (run.speaks_first()) {
        client.write("Is anybody there?\n");
    }
    queue.await_dial();
    demand_rest(run, "it waits for its connection to the server");
    queue.release();
    // Not left to others: the system tries again a second later.
    arrivals(run, 1, Deadline::after(run.config().timeouts.io));
}

/// Has nobody listen at the target, and a client go that has been told so.
inline void rest_refused(PairRun& run) {
    close_target(run);
    await_refusal(run);
    demand_rest(run, "a client has gone that could not be connected");
    run.listener().listen();
}

/// Looks at what a tool does while it has nothing to do: with connections on which nobody says
/// anything, in each of their states, and when the last one has gone.
inline void rest_in_each_state(PairRun& run) {
    const bool once = serves_once(run);
    if (!once) {
        demand_rest(run, "no client is connected any more");
    }
    {
        auto connection = run.connect();
        run.round_trip(connection);
        demand_rest(run, "nobody says anything on a connection");
    }
    rest_half_closed<Party::client>(run, "the client has ended its direction");
    rest_half_closed<Party::server>(run, "the server has ended its direction");
    rest_blocked<Party::client>(run, "it waits for the server to read");
    rest_blocked<Party::server>(run, "it waits for the client to read");
    if (once) {
        run.kill_after_check();
        return;
    }
    {
        auto connection = run.connect();
        run.round_trip(connection);
        connection.client.reset();
    }
    demand_rest(run, "a client has gone that has reset its connection");
    if (!run.strict()) {
        return;
    }
    if (std::holds_alternative<std::monostate>(
            run.protocol())) { // else it takes a handshake, that waits for the end
        rest_dialling(run);
    }
    try {
        rest_refused(run);
    } catch (const NotApplicable&) { // nobody is refused on this machine
        run.listener().listen();
    }
}

/// Demands that the tool leaves the processors alone while it has nothing to do, or from its start
/// on does not.
inline void rest(PairRun& run) {
    if (detail::cpu_times_of(run.tool()).empty()) {
        throw NotApplicable{"the system does not tell what a process has had of the processors"};
    }
    bool polls = false;
    try {
        rest_in_each_state(run);
    } catch (const BusyPolls&) {
        polls = true;
    }
    run.judge(trait::busy_polls, polls);
}

inline constexpr Check resources_cpu{
    .id = "resources.cpu",
    .title = "while nobody says anything, and when all clients have gone, the tool rests",
    .trait = trait::busy_polls.name,
    .run = rest};

} // namespace test_tunnel::check
