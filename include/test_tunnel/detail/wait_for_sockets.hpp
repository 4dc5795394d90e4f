#pragma once

#include <poll.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "../deadline.hpp"
#include "../layer.hpp"
#include "../watch.hpp"

namespace test_tunnel::detail {

/// What is awaited of a socket, as in a pollfd: `Socket::event` makes one.
struct SocketEvent {
    int fd = -1;
    Layer* layer = nullptr;
    short events = 0;
    short revents = 0;
};

/// Of `event`, what the layer shows where the descriptor has shown `revents`.
inline short seen_through_layer(const SocketEvent& event, short revents) {
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

/// The same as `wait_for`, for sockets that may have layers: POLLIN is there when there is data,
/// the end of the stream or an error to be read. What a layer could not send yet is sent meanwhile.
inline bool wait_for_sockets(std::span<SocketEvent> events, Deadline deadline, Watch* watch,
                             std::string_view awaited) {
    bool ready = false;
    for (auto& event : events) {
        event.revents = event.layer == nullptr ? short{0} : seen_through_layer(event, 0);
        ready = ready || event.revents != 0;
    }
    std::vector<pollfd> fds(events.size());
    for (;;) {
        std::transform(events.begin(), events.end(), fds.begin(), [](const SocketEvent& event) {
            const bool unsent = event.layer != nullptr && event.layer->has_unsent();
            return pollfd{.fd = event.fd,
                          .events = static_cast<short>(event.events | (unsent ? POLLOUT : 0)),
                          .revents = 0};
        });
        if (ready) { // what else is?
            poll_once(fds, Duration::zero());
            if (watch != nullptr) {
                watch->handle();
            }
        } else if (!wait_for(fds, deadline, watch, awaited)) {
            return false;
        }
        for (std::size_t i = 0; i < events.size(); ++i) {
            auto& event = events[i];
            event.revents =
                event.layer == nullptr ? fds[i].revents : seen_through_layer(event, fds[i].revents);
            ready = ready || event.revents != 0;
        }
        if (ready) {
            return true;
        }
        // What comes without end, and is no data, keeps nobody.
        if (watch != nullptr) {
            watch->require_time(awaited);
        }
        if (deadline.passed()) {
            return false;
        }
    }
}

/// The same for one.
inline bool wait_for_socket(SocketEvent event, Deadline deadline, Watch* watch,
                            std::string_view awaited) {
    return wait_for_sockets({&event, 1}, deadline, watch, awaited);
}

} // namespace test_tunnel::detail
