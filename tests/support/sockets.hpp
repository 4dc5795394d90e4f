#pragma once

// Sockets with a timeout, and connections of which both ends are in this process.

#include <test_tunnel/config/config.hpp>
#include <test_tunnel/discovery/bind.hpp>
#include <test_tunnel/net/socket.hpp>
#include <test_tunnel/net/supervisor.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "durations.hpp"

namespace support {

inline test_tunnel::Endpoint any_port(const char* address = "127.0.0.1") {
    return {test_tunnel::Address::parse(address), 0};
}

inline test_tunnel::Socket bound(test_tunnel::Duration timeout = long_time,
                                 const test_tunnel::Endpoint& endpoint = any_port()) {
    test_tunnel::Config config;
    config.timeouts.io = timeout;
    return test_tunnel::bind_to(config, endpoint);
}

inline test_tunnel::Socket listener(test_tunnel::Duration timeout = long_time,
                                    const test_tunnel::Endpoint& endpoint = any_port()) {
    auto result = bound(timeout, endpoint);
    result.listen();
    return result;
}

struct Connection {
    test_tunnel::Socket client;
    test_tunnel::Socket server;
};

/// Both ends in this process.
inline Connection connect(test_tunnel::Duration timeout = long_time,
                          const test_tunnel::Endpoint& endpoint = any_port()) {
    auto from = listener(timeout, endpoint);
    test_tunnel::Socket client{endpoint.address.family(), timeout};
    client.connect(from.local());
    return {std::move(client), from.accept()};
}

inline std::string both_ends(const test_tunnel::Socket& socket) {
    return fmt::format("({} → {})", socket.local(), socket.peer());
}

inline int code_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const test_tunnel::SystemError& error) {
        return error.code();
    }
    return 0;
}

/// Writes until nothing more is taken.
inline void fill(test_tunnel::Socket& socket) {
    const std::string block(std::size_t{1024} * 1024, 'x');
    for (const auto deadline = test_tunnel::Deadline::after(long_time); !deadline.passed();) {
        socket.write(block);
    }
}

/// Does something whenever a wait looks up, which is every few milliseconds: so one thread is
/// enough for both ends of a connection.
class Meanwhile final : public test_tunnel::Supervisor {
public:
    Meanwhile(test_tunnel::Duration interval, std::function<void()> action)
        : interval_{interval}, action_{std::move(action)} {}

    void append_to(std::vector<pollfd>&) const override {}
    void handle() override { action_(); }
    void require_running() const override {}
    void require_time(std::string_view) const override {}
    [[nodiscard]] test_tunnel::Duration longest_wait() const override { return interval_; }

private:
    test_tunnel::Duration interval_;
    std::function<void()> action_;
};

} // namespace support
