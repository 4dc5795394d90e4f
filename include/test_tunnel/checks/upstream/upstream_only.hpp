#pragma once

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/text.hpp"
#include "test_tunnel/checks/detail/odd_upstream.hpp"
#include "test_tunnel/checks/detail/refusal.hpp"
#include "test_tunnel/checks/detail/refusing_upstream.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/process/detail/listeners.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Demands that no connection of the tool, and no UDP socket that is connected, leads elsewhere
/// than to its client, its upstream proxy, or another of its own processes, as far as the system
/// tells.
inline void require_no_other_peer(PairRun& run) {
    const auto& [proxy_listen, svc_listen] = run.pair();
    const auto own = detail::inodes_of(detail::pids_of(run.tool().processes()));
    const auto connected = connected_sockets(own).value_or(std::vector<TcpSocket>{});
    for (const auto& socket : connected) {
        const bool is_inner =
            std::any_of(connected.begin(), connected.end(),
                        [&](const TcpSocket& other) { return other.local == socket.remote; });
        const bool is_own = is_inner || socket.local.port == proxy_listen.svc_port ||
                            run.may_listen_on(socket.local.port) ||
                            run.may_listen_on(socket.remote.port);
        if (!is_own && socket.remote != svc_listen.server()) {
            throw Unexpected{run.expected(), fmt::format("it has a connection from {} to {}",
                                                         socket.local, socket.remote)};
        }
    }
    run.upstream().require_nothing_past();
}

/// Looks at where the tool connects to: when its upstream proxy grants what is asked, when it
/// refuses, and when it can't be reached. A tool that then goes to the target itself tells
/// everybody on the way what it was to hide, or gets out of a network that it was not to leave.
inline void go_nowhere_else(PairRun& run) {
    using namespace std::chrono_literals;
    static_cast<void>(need_upstream(run));
    const auto expected = [&](std::string_view when) {
        return fmt::format("{}, the tool connects to nobody but its upstream proxy at {}", when,
                           run.pair().svc_listen.server());
    };
    {
        auto connection = run.connect();
        run.round_trip(connection);
        run.step("granted", expected("while a client is connected"), Party::tool, Party::server);
        require_no_other_peer(run);
    }
    if (serves_once(run)) {
        return;
    }
    const auto all = refusals_of(run);
    demand_refusal(run, all.front());
    close_target(run);
    try {
        await_refusal(run);
    } catch (const Unexpected&) {
        run.upstream().require_nothing_past(); // that is what is looked for here, and worse
        throw;
    }
    run.step("refused", expected("when that refuses, or can't be reached"), Party::tool,
             Party::server);
    run.pause(run.wait(1s), "the tool to go elsewhere");
    require_no_other_peer(run);
    run.listener().listen();
    require_service_in_time_after(run, "the upstream proxy could not be reached");
}

inline constexpr Check upstream_only{
    .id = "upstream.only",
    .title = "nothing goes past the upstream proxy, also where that refuses or is not there",
    .run = go_nowhere_else};

} // namespace test_tunnel::check
