#pragma once

#include <test_tunnel/base/deadline.hpp>
#include <test_tunnel/net/detail/poll.hpp>

#include <chrono>

namespace support {

/// Waits until `done`, for ten seconds at most: for what the kernel does a moment later.
template <typename Done>
bool comes_true(Done done) {
    const auto deadline = test_tunnel::Deadline::after(std::chrono::seconds{10});
    while (!done()) {
        if (deadline.passed()) {
            return false;
        }
        test_tunnel::detail::poll_once({}, std::chrono::milliseconds{1});
    }
    return true;
}

} // namespace support
