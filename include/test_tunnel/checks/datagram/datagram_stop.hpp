#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "test_tunnel/checks/stop/stop_busy.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/discovery/bind.hpp"
#include "test_tunnel/kernel/udp_sockets.hpp"
#include "test_tunnel/process/detail/listeners.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/detail/end_of_tool.hpp"
#include "test_tunnel/run/pair_run.hpp"

namespace test_tunnel::check {

/// A UDP port of the tool's, by which it has served a client.
struct ServedPort {
    Endpoint at;
    /// The sockets that have it.
    std::vector<std::uint64_t> inodes{};

    /// Whether it is free again. That of an association somebody else may have been given since.
    [[nodiscard]] bool is_free(const Config& config, bool is_of_association) const {
        if (is_of_association) {
            const auto sockets = udp_sockets_at(at).value_or(std::vector<UdpSocket>{});
            return std::none_of(sockets.begin(), sockets.end(), [&](const UdpSocket& socket) {
                return detail::contains(inodes, socket.inode);
            });
        }
        try {
            static_cast<void>(bind_datagrams_to(config, at));
            return true;
        } catch (const SystemError& error) {
            if (error.code() != EADDRINUSE) {
                throw;
            }
            return false;
        }
    }
};

/// The ports by which the tool serves these clients.
inline std::vector<ServedPort> served_ports(const std::vector<Flow>& flows) {
    std::vector<ServedPort> result;
    for (const auto& flow : flows) {
        if (std::none_of(result.begin(), result.end(),
                         [&](const ServedPort& port) { return port.at == flow.relay; })) {
            result.push_back({.at = flow.relay});
            for (const auto& socket :
                 udp_sockets_at(flow.relay).value_or(std::vector<UdpSocket>{})) {
                result.back().inodes.push_back(socket.inode);
            }
        }
    }
    return result;
}

/// Sends SIGTERM while clients are there and datagrams under way: the tool ends, and its port can
/// be bound again at once, since nothing of UDP lives on.
inline void stop_with_flows(PairRun& run) {
    using namespace std::chrono_literals;
    const auto& timeouts = run.config().timeouts;
    run.kill_after_check();
    std::vector<Flow> flows;
    const std::size_t count = run.traits().concurrent == false ? 1 : 4;
    flows.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        flows.push_back(run.flow());
    }
    auto& tool = run.tool();
    const auto ports = served_ports(flows);
    const bool are_associations = flows.front().control.has_value();
    run.step("stop while busy",
             fmt::format("after SIGTERM the tool ends within {}", text_of(scaled(timeouts.stop))));
    for (auto& flow : flows) {
        flow.client.supervise({});
        for (int i = 0; i < 8; ++i) {
            flow.send("under way");
        }
    }
    const auto ended_before = detail::who_has_ended(tool);
    // A process that serves an association has time until its client has gone.
    tool.terminate(are_associations ? timeouts.linger + timeouts.check : Duration{50ms});
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
    const auto moment = Deadline::after(run.wait(500ms));
    const auto kept = [&] {
        return std::find_if(ports.begin(), ports.end(), [&](const ServedPort& port) {
            return !port.is_free(run.config(), are_associations);
        });
    };
    while (kept() != ports.end() && !moment.passed()) {
        pause(2ms, nullptr, "the port to be free");
    }
    const auto still_kept = kept();
    flows.clear();
    tool.stop(Duration::zero(), timeouts.linger);
    const auto& port = still_kept == ports.end() ? ports.front() : *still_kept;
    run.step("port", fmt::format("{} can be bound again when the tool has ended", port.at));
    run.judge(trait::stops_connections, still_kept == ports.end());
    run.judge_end(ended_before);
}

inline constexpr Check datagram_stop{
    .id = "datagram.stop",
    .title = "on SIGTERM, with clients there, the tool ends, and its UDP port is free again",
    .needs = {.udp = true},
    .trait = trait::stops_connections.name,
    .run = stop_with_flows};

} // namespace test_tunnel::check
