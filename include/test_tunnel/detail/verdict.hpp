#pragma once

#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../address.hpp"
#include "../deadline.hpp"
#include "../error.hpp"
#include "../process.hpp"
#include "../server.hpp"
#include "../traits.hpp"
#include "../watch.hpp"
#include "listeners.hpp"
#include "system.hpp"
#include "text.hpp"
#include "wait_for_sockets.hpp"

namespace test_tunnel::detail {

/// That it is the tool that listens at `wanted`, as far as that can be known.
inline void require_own_listener(const Server& server, const Endpoint& wanted) {
    const auto found = find_listeners(server.processes(), wanted);
    if (!found.stranger.empty() && found.own.empty()) {
        throw Unexpected{fmt::format("the tool listens at {}", wanted),
                         found.stranger + ", which is another process"};
    }
}

/// Where the tool listens besides, or instead. How the halves of one talk to each other is its own
/// business: nothing is known of it then.
inline std::vector<Endpoint> listens_elsewhere(const Server& server, const Endpoint& wanted) {
    if (server.processes().size() > 1) {
        return {};
    }
    auto own = find_listeners(server.processes(), wanted).own;
    std::erase(own, wanted);
    return own;
}

/// Whether all of the tool's processes wait for something, or end well; true where that can't be
/// known. One that does not may just wait for the CPU.
inline bool rests([[maybe_unused]] const Server& server) {
#if TEST_TUNNEL_LINUX
    const auto pids = pids_of(server.processes());
    return std::all_of(pids.begin(), pids.end(), is_at_rest);
#else
    return true;
#endif
}

/// Waits until the tool rests, `longest` at most.
inline void let_rest(Server& server, Duration longest) {
    constexpr auto pause = std::chrono::microseconds{200};
    const Deadline deadline{Clock::now() + longest};
    while (!rests(server) && !deadline.passed()) {
        if (server.wait_for_end(Deadline{Clock::now() + pause})) {
            return;
        }
    }
}

/// Whether none of `events` happens for `duration`, nor while the tool, which may have got no CPU
/// in that time, has yet to come to rest: as long again at most.
inline bool stays_silent(Server& server, std::span<SocketEvent> events, Duration duration,
                         Watch* watch) {
    if (wait_for_sockets(events, Deadline{Clock::now() + duration}, watch, "silence")) {
        return false;
    }
    if (duration > Duration::zero()) {
        let_rest(server, duration);
        return !wait_for_sockets(events, Deadline{Clock::now()}, watch, "silence");
    }
    return true;
}

/// Lets a tool finish with the connection that has just been closed, so that it is no matter of
/// chance whether one that ends then, or crashes, is seen to do so: waits, for a moment, until it
/// has closed its own `end` of it (from, to), and all of its processes wait for something else or
/// end well. One that listens no more then will end by itself, and has `linger` for it.
inline void let_settle(Server& server, const Endpoint& listen,
                       const std::optional<std::pair<Endpoint, Endpoint>>& end, Duration linger) {
#if TEST_TUNNEL_LINUX
    constexpr auto longest = std::chrono::milliseconds{20};
    constexpr auto pause = std::chrono::microseconds{30};
    const PromptTimers prompt;
    const auto deadline = Deadline::after(longest);
    const auto is_busy = [&] {
        const auto socket = end ? SockDiag::connection(end->first, end->second) : std::nullopt;
        const bool is_open = socket && socket->inode != 0;
        return is_open || !rests(server);
    };
    while (is_busy() && !deadline.passed()) {
        if (server.wait_for_end(Deadline{Clock::now() + pause})) {
            return;
        }
    }
    // One question, and all of the tables only where that has no answer.
    if (!SockDiag::listener(listen) && !listens_at(server.processes(), listen)) {
        server.wait_for_end(Deadline::after(linger));
    }
#else
    static_cast<void>(listen);
    static_cast<void>(end);
    constexpr auto moment = std::chrono::milliseconds{1};
    server.wait_for_end(Deadline::after(std::min<Duration>(linger, moment)));
#endif
}

/// Whether the tool listens there, as far as can be known without connecting.
inline bool may_listen(const Server& server, const Endpoint& endpoint) {
#if TEST_TUNNEL_LINUX
    return listens_at(server.processes(), endpoint);
#else
    static_cast<void>(server);
    static_cast<void>(endpoint);
    return true;
#endif
}

/// For each of its processes.
inline std::vector<bool> who_has_ended(const Server& server) {
    std::vector<bool> result;
    for (const auto& process : server.processes()) {
        result.push_back(process.has_ended());
    }
    return result;
}

/// That a tool which has done its work ended as it should: after `server.stop`, with what was known
/// before of who had ended by itself. Returns the exit status after SIGTERM that is not among the
/// declared ones, nor among those that need no declaration, in words.
inline std::string judge_end(const Server& server, const std::vector<bool>& ended_before,
                             const Traits& traits, const std::string& expected) {
    std::string odd;
    const auto& processes = server.processes();
    for (std::size_t i = 0; i < processes.size(); ++i) {
        const auto& process = processes[i];
        const auto& status = process.status().value();
        const auto code = status.code();
        const auto what = fmt::format("{} {}", process.name(), status.text());
        // A companion may end because the one before it was stopped.
        const bool by_itself =
            ended_before[i] || (i + 1 == processes.size() && !process.was_told_to_end());
        if (process.had_to_be_killed()) {
            throw Unexpected{expected, fmt::format("{} had to be killed by SIGKILL: it {}",
                                                   process.name(), status.text())};
        }
        if (by_itself && code != 0) {
            throw Unexpected{expected, what + " by itself"};
        }
        if (!code && status.signal() != SIGTERM) {
            throw Unexpected{expected, what};
        }
        // What is never told that its connection has ended can't end with it.
        if (!process.left_behind().empty() && traits.passes_eof.value_or(true)) {
            throw Unexpected{
                "the tool ends what it has started",
                fmt::format("{} left {} behind: {}", process.name(), process.left_behind().size(),
                            joined(process.left_behind(), ", "))};
        }
        if (!process.alarm().empty()) {
            throw Unexpected{"the tool runs without an error of its memory", process.alarm()};
        }
        const std::vector<int> usual{0, SIGTERM, 128 + SIGTERM};
        const auto& declared = traits.exit_statuses.empty() ? usual : traits.exit_statuses;
        if (!by_itself && code && process.was_told_to_end() &&
            std::find(declared.begin(), declared.end(), *code) == declared.end()) {
            odd = what;
        }
    }
    return odd;
}

} // namespace test_tunnel::detail
