#pragma once

// What only the system can tell of UDP sockets of other processes. It is found without sending
// anything. Only Linux answers; elsewhere all is unknown.

#include <cstdint>
#include <optional>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// A UDP socket of this network namespace, whichever process owns it.
struct UdpSocket {
    /// The address and port to which it is bound.
    Endpoint local;
    /// To whom it is connected; the null address and port 0 where it takes datagrams from anybody.
    Endpoint remote;
    /// Its number in the system, by which its owner is found (`owner_of_socket`).
    std::uint64_t inode = 0;

    /// Whether it takes datagrams from anybody.
    [[nodiscard]] bool is_open() const { return remote.port == 0; }
};

/// Returns all UDP sockets of this network namespace that are bound; nothing where they are
/// unknown.
std::optional<std::vector<UdpSocket>> udp_sockets();

/// Returns those that receive what is sent to `endpoint`: they are bound there, or to that port of
/// the wildcard address. One that is connected receives only what comes from there. Nothing where
/// that is unknown.
std::optional<std::vector<UdpSocket>> udp_sockets_at(const Endpoint& endpoint);

/// Whether the system gives such a port to a socket that is bound to none when it sends: who has it
/// need not be meant to receive anything but answers. False where that is unknown.
bool is_given_to_senders(std::uint16_t port);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/kernel/detail/udp_sockets.ipp" // IWYU pragma: export
#endif
