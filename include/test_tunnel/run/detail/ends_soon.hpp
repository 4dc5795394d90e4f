#pragma once

#include <array>
#include <chrono>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/net/socket.hpp"

namespace test_tunnel::detail {

/// Returns whether the tool ends a connection within a second, whatever it still writes on it.
inline bool ends_soon(Socket& server) {
    constexpr auto moment = std::chrono::seconds{1};
    const auto deadline = Deadline::after(moment);
    server.set_timeout(moment);
    std::array<char, 256> bytes{};
    try {
        while (!deadline.passed()) {
            if (server.read_some(bytes.data(), bytes.size()) == 0) {
                return true;
            }
        }
    } catch (const SystemError&) {
        return true;
    } catch (const TimedOut&) {
        return false;
    }
    return false;
}

} // namespace test_tunnel::detail
