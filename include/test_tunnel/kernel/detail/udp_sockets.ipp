#pragma once

#include <optional>
#include <vector>

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

#else

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
