#pragma once

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <span>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/base/error.hpp"

namespace test_tunnel::detail {

/// Waits once by poll(2), for `timeout` at most; a signal may end it early. Returns whether any
/// descriptor is ready. Throws SystemError.
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

} // namespace test_tunnel::detail
