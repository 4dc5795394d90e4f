#pragma once

// Whether a tool is idle, stays silent, or has finished with a connection.

#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>
#include <utility>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/config/transports.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/kernel/udp_sockets.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/net/wait.hpp"
#include "test_tunnel/process/detail/listeners.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/process/server.hpp"

namespace test_tunnel::detail {

/// Returns whether all of the tool's processes wait for something, or are about to end with status
/// 0; true where the system can't tell. A process that does not may just be waiting for a CPU.
inline bool is_idle(const Server& server) {
    const auto pids = pids_of(server.processes());
    return std::all_of(pids.begin(), pids.end(),
                       [](pid_t pid) { return test_tunnel::is_idle(pid).value_or(true); });
}

/// Waits until the tool is idle or has ended, for `longest` at most, whatever the timeout scale. It
/// looks some times at least: where the whole machine has stood still, the tool had no time either.
inline void wait_until_idle(Server& server, Duration longest) {
    constexpr auto pause = std::chrono::microseconds{200};
    constexpr int fewest = 50;
    const auto deadline = Deadline::unscaled(longest);
    for (int looks = 0; !is_idle(server) && (looks < fewest || !deadline.passed()); ++looks) {
        if (server.wait_for_end(Deadline::unscaled(pause))) {
            return;
        }
    }
}

/// Returns whether none of `events` happens for `duration`, whatever the timeout scale. A tool that
/// is still busy then, since it may have got no CPU in that time, has as long again at most until
/// it is idle. Throws ToolEnded and TimedOut as `supervisor` does.
inline bool stays_silent(Server& server, std::span<SocketEvent> events, Duration duration,
                         Supervisor* supervisor) {
    if (test_tunnel::wait_for(events, Deadline::unscaled(duration), supervisor, "silence")) {
        return false;
    }
    if (duration > Duration::zero()) {
        wait_until_idle(server, duration);
        return !test_tunnel::wait_for(events, Deadline::now(), supervisor, "silence");
    }
    return true;
}

/// Waits until a tool has finished with the connection that was closed just now: without that it
/// would be a matter of chance whether the end, or the crash, of a tool after it is seen. Waits for
/// 20 ms at most until the tool has closed its own `end` of it (from, to), and for `longest_work`
/// until it is idle: it may be waiting for a CPU. A tool that no longer listens at `listen`, or has
/// no UDP socket there where it carries nothing else, will end by itself, and has `linger` more for
/// that. Returns whether the tool has become idle, or ended.
inline bool let_settle(Server& server, const Endpoint& listen, Transports transports,
                       const std::optional<std::pair<Endpoint, Endpoint>>& end, Duration linger,
                       Duration longest_work) {
    constexpr auto longest = std::chrono::milliseconds{20};
    constexpr auto pause = std::chrono::microseconds{30};
    const PromptTimers prompt;
    const auto deadline = Deadline::after(longest);
    const auto end_of_work = Deadline::after(longest_work);
    const auto is_open = [&] {
        const auto socket = end ? tcp_connection(end->first, end->second) : std::nullopt;
        return socket && socket->inode != 0;
    };
    bool has_settled = is_idle(server);
    while ((!deadline.passed() && is_open()) || (!has_settled && !end_of_work.passed())) {
        if (server.wait_for_end(Deadline::unscaled(pause))) {
            return true;
        }
        has_settled = is_idle(server);
    }
    if (!transports.tcp) {
        const auto sockets = udp_sockets_at(listen);
        if (sockets && sockets->empty()) {
            server.wait_for_end(Deadline::after(linger));
        }
        return has_settled;
    }
    // One question, and all of the tables only where that has no answer.
    if (tcp_listener(listen)) {
        return has_settled;
    }
    constexpr auto moment = std::chrono::milliseconds{1};
    const auto listens = test_tunnel::listens_at(server, listen);
    if (!listens) { // unknown
        server.wait_for_end(Deadline::after(std::min<Duration>(linger, moment)));
    } else if (!*listens) {
        server.wait_for_end(Deadline::after(linger));
    }
    return has_settled;
}

} // namespace test_tunnel::detail
