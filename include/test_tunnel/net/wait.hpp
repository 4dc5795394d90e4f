#pragma once

// All that waits, waits here. While a call waits, three things are done on the side:
//
// - The tool is looked after by its supervisor, where there is one: its output is drained, and its
//   end noticed.
// - What a layer (TLS) has taken and could not send yet is sent.
// - Connections of this process that were closed in TLS are brought to their end in TCP: for up to
//   two seconds, what the other side still says on them is thrown away.

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/net/layer.hpp"
#include "test_tunnel/net/supervisor.hpp"

namespace test_tunnel {

/// What is awaited of a socket, as in a pollfd: `Socket::event` makes one.
struct SocketEvent {
    /// The socket's descriptor.
    int fd = -1;
    /// What the socket is read and written through, where that is not the descriptor itself.
    Layer* layer = nullptr;
    /// What is awaited: POLLIN, POLLOUT, or both.
    short events = 0;
    /// What has happened of that, and POLLERR or POLLHUP; set by `wait_for`.
    short revents = 0;
};

namespace detail {

/// A function without arguments that says whether something has happened; or none.
class Condition {
public:
    Condition() = default;
    /// `done` must live as long as this object.
    template <typename Done>
        requires(!std::same_as<Done, Condition>)
    explicit Condition(Done& done)
        : done_{std::addressof(done)},
          call_{[](void* object) { return static_cast<bool>((*static_cast<Done*>(object))()); }} {}

    [[nodiscard]] bool is_given() const noexcept { return call_ != nullptr; }
    [[nodiscard]] bool holds() const { return call_ != nullptr && call_(done_); }

private:
    void* done_ = nullptr;
    bool (*call_)(void*) = nullptr;
};

/// Waits until one of `events` has happened or `done` holds (true), or `deadline` has passed
/// (false). `done` is asked at first, whenever the supervisor has had something to do, and each
/// `interval`. Throws as `supervisor` does. The library waits nowhere else for a tool.
bool wait_for_any(std::span<SocketEvent> events, Condition done, Deadline deadline,
                  Supervisor* supervisor, std::string_view awaited, Duration interval);

} // namespace detail

/// Waits until one of `events` has happened (true; `revents` says which), or `deadline` has passed
/// (false). POLLIN has happened when there is data, the end of the stream or an error to be read.
/// What has happened counts even where the tool has ended meanwhile: its last bytes are still read.
/// Otherwise throws ToolEnded and TimedOut, with `awaited` in its text, as `supervisor` does, which
/// may be null.
bool wait_for(std::span<SocketEvent> events, Deadline deadline, Supervisor* supervisor,
              std::string_view awaited);

/// Waits for one event; otherwise like the one for several.
bool wait_for(SocketEvent event, Deadline deadline, Supervisor* supervisor,
              std::string_view awaited);

/// Lets `duration` pass, whatever `TEST_TUNNEL_TIMEOUT_SCALE` says. Throws ToolEnded and TimedOut,
/// with `awaited` in its text, as `supervisor` does, which may be null.
void pause(Duration duration, Supervisor* supervisor, std::string_view awaited);

/// Waits until `done()` returns true (true), or `deadline` has passed (false). Asks at once, then
/// each `interval` (default: 1 ms), whatever the timeout scale, and whenever the tool has written
/// something or ended. Throws what `done` throws; ToolEnded and TimedOut, with `awaited` in its
/// text, as `supervisor` does, which may be null.
template <typename Done>
bool wait_until(Done done, Deadline deadline, Supervisor* supervisor, std::string_view awaited,
                Duration interval = std::chrono::milliseconds{1}) {
    return detail::wait_for_any({}, detail::Condition{done}, deadline, supervisor, awaited,
                                interval);
}

namespace detail {

/// Looks after a Process, or whatever has the same three functions, whose end is no fault.
template <typename Watched>
class Unjudged final : public Supervisor {
public:
    explicit Unjudged(Watched& watched) : watched_{watched} {}

    void append_to(std::vector<pollfd>& fds) const override { watched_.append_to(fds); }
    void handle() override { watched_.handle(); }
    void require_running() const override {}
    void require_time(std::string_view /*awaited*/) const override {}
    [[nodiscard]] Duration longest_wait() const override { return watched_.longest_wait(); }

private:
    Watched& watched_;
};

/// Looks after `watched` until `done` returns true (true), or `deadline` has passed (false).
template <typename Watched, typename Done>
bool pump(Watched& watched, Deadline deadline, Done done) {
    watched.handle();
    Unjudged<Watched> supervisor{watched};
    return wait_until(done, deadline, &supervisor, {}, Duration::max());
}

} // namespace detail

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/net/detail/wait.ipp" // IWYU pragma: export
#endif
