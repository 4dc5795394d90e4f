#pragma once

#include <poll.h>

#include <string_view>
#include <vector>

#include "test_tunnel/base/deadline.hpp"

namespace test_tunnel {

/// Looks after the processes under test while something else is awaited: drains their output,
/// notices their end at once, and keeps the time for the whole pair.
///
/// A `Server` gives its own by `Server::supervisor()`. It is handed to every call that waits
/// (`wait_for`, `wait_until`, `pause`, `transfer`), or once to a socket (`Socket::supervise`).
class Supervisor {
public:
    Supervisor() = default;
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;
    virtual ~Supervisor() = default;

    /// Adds the descriptors on which something may happen.
    virtual void append_to(std::vector<pollfd>& fds) const = 0;

    /// Deals with whatever has happened on them. Does not block.
    virtual void handle() = 0;

    /// Throws ToolEnded where a process has ended that should be running.
    virtual void require_running() const = 0;

    /// Throws TimedOut, with `awaited` in its text, where the time for the whole is over, and
    /// Interrupted where this process's tests shall end (Interruption).
    virtual void require_time(std::string_view awaited) const = 0;

    /// Returns how long a wait may last before `handle` must be called again, whatever happens.
    [[nodiscard]] virtual Duration longest_wait() const = 0;
};

} // namespace test_tunnel
