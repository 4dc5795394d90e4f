#pragma once

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/net/detail/closing_connections.hpp"
#include "test_tunnel/net/detail/poll.hpp"
#include "test_tunnel/net/supervisor.hpp"
#include "test_tunnel/net/wait.hpp"

namespace test_tunnel {

namespace detail {

inline bool is_ready(const pollfd& entry) {
    return entry.revents != 0;
}

/// Returns whether `supervisor` has nothing to throw.
inline bool may_go_on(const Supervisor& supervisor, std::string_view awaited) {
    try {
        supervisor.require_running();
        supervisor.require_time(awaited);
    } catch (const Error&) {
        return false;
    }
    return true;
}

/// Returns what has happened of `event`, when its descriptor has shown `revents`.
inline short what_happened(const SocketEvent& event, short revents) {
    if (event.layer == nullptr) {
        return revents;
    }
    constexpr int writable = POLLOUT | POLLERR | POLLHUP;
    if ((revents & writable) != 0) {
        event.layer->flush();
    }
    int result = 0;
    if ((event.events & POLLIN) != 0 && event.layer->readable()) {
        result |= POLLIN;
    }
    if ((event.events & POLLOUT) != 0 && (revents & writable) != 0) {
        result |= POLLOUT;
    }
    return static_cast<short>(result);
}

/// Sets what has happened of each event, `fds` being their descriptors, and returns whether
/// anything has.
inline bool look_at(std::span<SocketEvent> events, std::span<const pollfd> fds) {
    bool any = false;
    for (std::size_t i = 0; i < events.size(); ++i) {
        events[i].revents = what_happened(events[i], fds[i].revents);
        any = any || events[i].revents != 0;
    }
    return any;
}

/// Sets what layers have already, without a look at their descriptors.
inline bool look_into_layers(std::span<SocketEvent> events) {
    bool any = false;
    for (auto& event : events) {
        event.revents = event.layer == nullptr ? short{0} : what_happened(event, 0);
        any = any || event.revents != 0;
    }
    return any;
}

inline void fill(std::vector<pollfd>& fds, std::span<const SocketEvent> events) {
    fds.clear();
    for (const auto& event : events) {
        const bool unsent = event.layer != nullptr && event.layer->has_unsent();
        fds.push_back({.fd = event.fd,
                       .events = static_cast<short>(event.events | (unsent ? POLLOUT : 0)),
                       .revents = 0});
    }
}

TEST_TUNNEL_INLINE bool wait_for_any(std::span<SocketEvent> events, Condition done,
                                     Deadline deadline, Supervisor* supervisor,
                                     std::string_view awaited, Duration interval) {
    if (done.holds()) {
        return true;
    }
    if (done.is_given() && deadline.passed()) {
        return false;
    }
    // Where a layer has something already, only what else has happened is still to be seen.
    bool has_happened = look_into_layers(events);
    // The end of a process that has been seen before makes no descriptor ready any more.
    bool may_block = !has_happened && (supervisor == nullptr || may_go_on(*supervisor, awaited));
    constexpr std::size_t usual = 8; // those of a tool's processes
    std::vector<pollfd> fds;
    fds.reserve(events.size() + usual);
    for (;;) {
        bool is_last_look = deadline.passed();
        fill(fds, events);
        auto timeout =
            std::min({deadline.remaining(), interval, ClosingConnections::instance().tend()});
        if (supervisor != nullptr) {
            supervisor->append_to(fds);
            timeout = std::min(timeout, supervisor->longest_wait());
        }
        for (auto& entry : fds) {
            entry.revents = 0;
        }
        timeout = may_block ? timeout : Duration::zero();
        poll_once(fds, timeout);
        if (events.empty()) { // the look is the question that follows
            is_last_look = deadline.passed();
        }
        const auto ours = std::span{fds}.first(events.size());
        const auto others = std::span{fds}.subspan(events.size());

        // Where none of its descriptors is ready, and it need not be asked, it has nothing to do.
        constexpr Duration often = std::chrono::milliseconds{1};
        if (supervisor != nullptr && (std::any_of(others.begin(), others.end(), is_ready) ||
                                      supervisor->longest_wait() <= std::max(timeout, often))) {
            supervisor->handle();
        }

        // What has happened wins over a process that has ended.
        bool is_any_ready = std::any_of(ours.begin(), ours.end(), is_ready);
        if (has_happened || is_any_ready) {
            has_happened = look_at(events, ours);
        }
        if (has_happened || done.holds()) {
            return true;
        }
        may_block = true;
        if (supervisor != nullptr) {
            // A tool closes its sockets before it is seen to end: one more look at ours.
            if (!is_any_ready && !ours.empty() && poll_once(ours, Duration::zero())) {
                is_any_ready = true;
                if (look_at(events, ours)) {
                    return true;
                }
            }
            if (is_any_ready) { // but no data: there may be some behind it
                supervisor->require_time(awaited);
                may_block = may_go_on(*supervisor, awaited);
            } else {
                supervisor->require_running();
                supervisor->require_time(awaited);
            }
        }
        if (is_last_look) {
            return false;
        }
    }
}

} // namespace detail

TEST_TUNNEL_INLINE bool wait_for(std::span<SocketEvent> events, Deadline deadline,
                                 Supervisor* supervisor, std::string_view awaited) {
    return detail::wait_for_any(events, detail::Condition{}, deadline, supervisor, awaited,
                                Duration::max());
}

TEST_TUNNEL_INLINE bool wait_for(SocketEvent event, Deadline deadline, Supervisor* supervisor,
                                 std::string_view awaited) {
    return wait_for(std::span{&event, 1}, deadline, supervisor, awaited);
}

TEST_TUNNEL_INLINE void pause(Duration duration, Supervisor* supervisor, std::string_view awaited) {
    detail::wait_for_any({}, detail::Condition{}, Deadline::unscaled(duration), supervisor, awaited,
                         Duration::max());
}

} // namespace test_tunnel
