#pragma once

#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/kernel/detail/proc_files.hpp"
#include "test_tunnel/private_network/detail/loopback.hpp"
#include "test_tunnel/private_network/private_network.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE NetworkMode parse_network_mode(std::string_view text) {
    if (text == "auto") {
        return NetworkMode::automatic;
    }
    if (text == "private") {
        return NetworkMode::isolated;
    }
    if (text == "host") {
        return NetworkMode::host;
    }
    throw InvalidConfig{fmt::format("'{}' is no network: auto, private or host", text)};
}

TEST_TUNNEL_INLINE NetworkMode network_mode_from_environment() {
    const char* text = std::getenv("TEST_TUNNEL_NETWORK"); // NOLINT(concurrency-mt-unsafe)
    return text == nullptr || *text == '\0' ? NetworkMode::automatic : parse_network_mode(text);
}

TEST_TUNNEL_INLINE std::string enter_network(NetworkMode mode) {
    if (mode == NetworkMode::host) {
        return "the host's network";
    }
    try {
        enter_private_network();
        return "a private network";
    } catch (const PrivateNetworkUnavailable& error) {
        if (mode == NetworkMode::isolated) {
            throw;
        }
        return fmt::format("the host's network ({})", error.what());
    }
}

#if TEST_TUNNEL_LINUX

TEST_TUNNEL_INLINE void enter_private_network() {
    timeout_scale(); // a bad one is refused as that, not taken for a missing right
    if (const auto threads = detail::numbers_in("/proc/self/task").size(); threads > 1) {
        throw PrivateNetworkUnavailable{fmt::format(
            "a process with {} threads can't enter a private network: do it first", threads)};
    }
    for (const int flags : {CLONE_NEWNET, CLONE_NEWNET | CLONE_NEWUSER}) {
        try {
            const auto names = detail::rehearse(flags);
            detail::enter_namespaces(flags, names);
            return;
        } catch (const SystemError& error) {
            // Only whoever lacks the right goes another way: there, root is not what it is here.
            const bool lacks_right = error.code() == EPERM || error.code() == EACCES;
            if ((flags & CLONE_NEWUSER) != 0 || !lacks_right) {
                throw PrivateNetworkUnavailable{
                    fmt::format("no private network: {}", error.what())};
            }
        }
    }
}

#else

TEST_TUNNEL_INLINE void enter_private_network() {
    throw PrivateNetworkUnavailable{"no private network: only Linux has network namespaces"};
}

#endif

} // namespace test_tunnel
