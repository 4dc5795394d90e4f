#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <system_error>
#include <vector>

#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/kernel/detail/proc_net_tcp.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/kernel/udp_sockets.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

#if TEST_TUNNEL_LINUX

TEST_TUNNEL_INLINE std::optional<std::vector<UdpSocket>> udp_sockets() {
    std::vector<UdpSocket> result;
    for (const auto& socket : detail::bound_udp_sockets()) {
        result.push_back({.local = socket.local, .remote = socket.remote, .inode = socket.inode});
    }
    return result;
}

TEST_TUNNEL_INLINE bool is_given_to_senders(std::uint16_t port) {
    const auto range = detail::read_file("/proc/sys/net/ipv4/ip_local_port_range").value_or("");
    unsigned first = 0;
    unsigned last = 0;
    const auto* const end = range.data() + range.size();
    const auto* next = std::from_chars(range.data(), end, first).ptr;
    next = std::find_if(next, end, [](char c) { return c >= '0' && c <= '9'; });
    const bool is_known = std::from_chars(next, end, last).ec == std::errc{};
    return is_known && port >= first && port <= last;
}

#else

TEST_TUNNEL_INLINE bool is_given_to_senders(std::uint16_t /*port*/) {
    return false;
}

TEST_TUNNEL_INLINE std::optional<std::vector<UdpSocket>> udp_sockets() {
    return std::nullopt;
}

#endif

TEST_TUNNEL_INLINE std::optional<std::vector<UdpSocket>> udp_sockets_at(const Endpoint& endpoint) {
    auto result = udp_sockets();
    if (result) {
        std::erase_if(*result, [&](const UdpSocket& socket) {
            return !takes_connections(socket.local, endpoint);
        });
    }
    return result;
}

} // namespace test_tunnel
