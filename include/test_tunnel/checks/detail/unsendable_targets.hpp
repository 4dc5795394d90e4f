#pragma once

// Targets to which no datagram can be sent: the tool's own call fails.

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <vector>

#include "test_tunnel/base/error.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/datagram_socket.hpp"

namespace test_tunnel::check {

/// Whether no way leads from this machine to `target`. Nothing is sent for that.
inline bool has_no_way_to(const Endpoint& target) {
    DatagramSocket probe{target.address.family()};
    const int on = 1; // a tool may be allowed to send to all
    ::setsockopt(probe.fd(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    try {
        probe.connect(target);
        return false;
    } catch (const SystemError& error) {
        return error.code() == ENETUNREACH || error.code() == EHOSTUNREACH;
    }
}

/// Targets of the family of `server` to which the system sends nothing: port 0 of the server's own
/// address and, where this machine has no way there, an address for documentation (RFC 5737), one
/// to be discarded (RFC 6666), and all of the local network.
inline std::vector<Endpoint> unsendable_targets(const Address& server) {
    constexpr std::uint16_t discard = 9;
    std::vector<Endpoint> result{{server, 0}};
    for (const auto* text : {"203.0.113.1", "255.255.255.255", "100::1"}) {
        const Endpoint target{Address::parse(text), discard};
        if (target.address.family() == server.family() && has_no_way_to(target)) {
            result.push_back(target);
        }
    }
    return result;
}

} // namespace test_tunnel::check
