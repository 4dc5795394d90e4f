#pragma once

#include <chrono>
#include <vector>

#include "test_tunnel/checks/stop/stop_busy.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/detail/end_of_tool.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// Sends SIGTERM while clients are there and datagrams under way: the tool ends, and its port can
/// be bound again at once, since nothing of UDP lives on.
inline void stop_with_flows(PairRun& run) {
    using namespace std::chrono_literals;
    const auto& timeouts = run.config().timeouts;
    run.kill_after_check();
    std::vector<Flow> flows;
    const int count = run.traits().concurrent == false ? 1 : 4;
    for (int i = 0; i < count; ++i) {
        flows.push_back(run.flow());
    }
    auto& tool = run.tool();
    const auto listen = run.pair().proxy_listen.listen();
    run.step("stop while busy",
             fmt::format("after SIGTERM the tool ends within {}", text_of(scaled(timeouts.stop))));
    for (auto& flow : flows) {
        flow.client.supervise({});
        for (int i = 0; i < 8; ++i) {
            flow.send("under way");
        }
    }
    const auto ended_before = detail::who_has_ended(tool);
    tool.terminate(50ms);
    const auto deadline = Deadline::after(timeouts.stop);
    while (!has_ended(tool) && !deadline.passed()) {
        tool.wait_for_end(Deadline::unscaled(2ms));
    }
    if (!has_ended(tool)) {
        throw Unexpected{run.expected(),
                         fmt::format("it still runs {} later", text_of(scaled(timeouts.stop))),
                         Cause::timed_out};
    }
    // What serves a flow in a process of its own may go on, where that is declared.
    bool is_free = false;
    const auto moment = Deadline::after(run.wait(500ms));
    do {
        try {
            static_cast<void>(bind_datagrams_to(run.config(), listen));
            is_free = true;
        } catch (const SystemError& error) {
            if (error.code() != EADDRINUSE) {
                throw;
            }
            pause(2ms, nullptr, "the port to be free");
        }
    } while (!is_free && !moment.passed());
    tool.stop(Duration::zero(), 50ms);
    run.step("port", fmt::format("{} can be bound again when the tool has ended", listen));
    run.judge(trait::stops_connections, is_free);
    run.judge_end(ended_before);
}

inline constexpr Check datagram_stop{
    .id = "datagram.stop",
    .title = "on SIGTERM, with clients there, the tool ends, and its UDP port is free again",
    .needs = {.udp = true},
    .trait = trait::stops_connections.name,
    .run = stop_with_flows};

} // namespace test_tunnel::check
