#pragma once

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "deadline.hpp"
#include "detail/lingering.hpp"
#include "detail/platform.hpp"
#include "error.hpp"

namespace test_tunnel {

/// What has to be looked after while something else is awaited: the processes under test, whose
/// output must be drained and whose end must be noticed at once, and the time for the whole pair.
///
/// A `Server` gives its own by `Server::watch()`; a `Socket` that has been given one looks after it
/// in every call that waits.
class Watch {
public:
    Watch() = default;
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    virtual ~Watch() = default;

    /// Adds the descriptors on which something may happen.
    virtual void append_to(std::vector<pollfd>& fds) const = 0;

    /// Looks after whatever has happened. Does not block.
    virtual void handle() = 0;

    /// Throws ToolEnded where a process has ended that should be running.
    virtual void require_running() const = 0;

    /// Throws TimedOut, with `awaited` in its text, where the time for the whole is over.
    virtual void require_time(std::string_view awaited) const = 0;

    /// How long a wait may last before `handle` must be called again, whatever happens.
    [[nodiscard]] virtual Duration longest_wait() const = 0;
};

namespace detail {

/// One poll(2) that a signal may end early. Returns whether any descriptor is ready.
inline bool poll_once(std::span<pollfd> fds, Duration timeout) {
    const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(timeout).count();
#if TEST_TUNNEL_LINUX
    constexpr long long per_second = 1'000'000'000;
    const timespec time{.tv_sec = static_cast<time_t>(nanoseconds / per_second),
                        .tv_nsec = static_cast<long>(nanoseconds % per_second)};
    const int ready = ::ppoll(fds.data(), fds.size(), &time, nullptr);
#else
    // Rounded up: a remainder below 1 ms must not become a busy loop.
    const auto milliseconds = std::min<long long>((nanoseconds + 999'999) / 1'000'000, 1'000'000);
    const int ready =
        ::poll(fds.data(), static_cast<nfds_t>(fds.size()), static_cast<int>(milliseconds));
#endif
    if (ready == -1 && errno != EINTR) {
        throw SystemError{"poll", errno};
    }
    return ready > 0;
}

/// Whether `watch` has nothing to throw.
inline bool is_content(const Watch& watch, std::string_view awaited) {
    try {
        watch.require_running();
        watch.require_time(awaited);
    } catch (const Error&) {
        return false;
    }
    return true;
}

/// Waits until one of `fds` is ready (true) or `deadline` has passed (false), and looks after
/// `watch`, if there is one, meanwhile. What is ready wins over a process that has ended: the last
/// bytes of a tool are still read. Throws ToolEnded and TimedOut as `watch` does.
inline bool wait_for(std::span<pollfd> fds, Deadline deadline, Watch* watch,
                     std::string_view awaited) {
    std::vector<pollfd> all;
    // The end of a process that has been seen before makes no descriptor ready any more.
    bool may_wait = watch == nullptr || is_content(*watch, awaited);
    for (;; may_wait = true) {
        const bool last_look = deadline.passed();
        auto timeout = std::min(deadline.remaining(), Lingering::instance().tend());
        all.assign(fds.begin(), fds.end());
        if (watch != nullptr) {
            watch->append_to(all);
            timeout = may_wait ? std::min(timeout, watch->longest_wait()) : Duration::zero();
        }
        for (auto& entry : all) {
            entry.revents = 0;
        }
        const bool any = poll_once(all, timeout);
        bool ours = false;
        for (std::size_t i = 0; i < fds.size(); ++i) {
            fds[i].revents = any ? all[i].revents : short{0};
            ours = ours || fds[i].revents != 0;
        }
        // Where nothing of its own is ready, and nothing has to be asked for, it has nothing to do.
        const bool is_idle =
            std::all_of(all.begin() + static_cast<std::ptrdiff_t>(fds.size()), all.end(),
                        [](const pollfd& entry) { return entry.revents == 0; });
        constexpr Duration often = std::chrono::milliseconds{1};
        if (watch != nullptr && (!is_idle || watch->longest_wait() <= std::max(timeout, often))) {
            watch->handle();
        }
        if (ours) {
            return true;
        }
        if (watch != nullptr) {
            // A tool closes its sockets before it is seen to end: one more look at ours.
            if (!fds.empty() && poll_once(fds, Duration::zero())) {
                return true;
            }
            watch->require_running();
            watch->require_time(awaited);
        }
        if (last_look || (fds.empty() && deadline.passed())) { // where there is nothing to look at
            return false;
        }
    }
}

/// The same for one descriptor; throws TimedOut, with `awaited` in its text, where `timeout` has
/// passed.
inline void wait_for(int fd, short events, Duration timeout, Watch* watch,
                     std::string_view awaited) {
    pollfd entry{.fd = fd, .events = events, .revents = 0};
    if (!wait_for({&entry, 1}, Deadline::after(timeout), watch, awaited)) {
        throw TimedOut{
            fmt::format("nothing for {} while waiting for {}", text_of(scaled(timeout)), awaited)};
    }
}

/// Looks after `watched`, a Watch or a Process, until `done` says so (true) or `deadline` has
/// passed (false).
template <typename Watched, typename Done>
bool pump(Watched& watched, Deadline deadline, Done done) {
    std::vector<pollfd> fds;
    for (;;) {
        const bool last_look = deadline.passed();
        watched.handle();
        if (done()) {
            return true;
        }
        if (last_look) {
            return false;
        }
        fds.clear();
        watched.append_to(fds);
        poll_once(fds, std::min({deadline.remaining(), watched.longest_wait(),
                                 Lingering::instance().tend()}));
    }
}

} // namespace detail

} // namespace test_tunnel
