#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

namespace detail {
class PortLock;
}

/// The first port number that is tried where the configuration has no offset.
inline constexpr int default_first_port = 6374;

/// Keeps port numbers from being given out to anyone else, this process included, as long as a copy
/// of it lives.
class PortReservation {
public:
    /// Makes a reservation that keeps nothing.
    PortReservation() = default;
    /// Makes one that keeps the numbers of `locks`; `find_ports` does so.
    explicit PortReservation(std::vector<detail::PortLock> locks);

private:
    std::shared_ptr<const std::vector<detail::PortLock>> locks_;
};

/// An address to listen on, two ports of its own, and the addresses that can connect to it.
struct AddrPort {
    /// An address of this machine.
    Address address;
    /// The port on which somebody listens on `address`.
    std::uint16_t svc_port = 0;
    /// The port from which whoever is told to connect from `address` does so.
    std::uint16_t proxy_port = 0;
    /// The addresses that can connect to `address`, found out by connecting.
    std::vector<Address> clients;
    /// Keeps both ports, and all others that were found in the same search.
    PortReservation reservation;
    /// Where the upstream proxy listens that is to be asked for `listen()`. Nothing: there is none,
    /// and whoever wants to get to `listen()` connects to it.
    std::optional<Endpoint> upstream = {};

    /// Returns the family of the address: '4' or '6'.
    [[nodiscard]] char family_id() const { return test_tunnel::family_id(address.family()); }

    /// Returns address:svc_port.
    [[nodiscard]] Endpoint listen() const { return {address, svc_port}; }

    /// Returns where the harness takes the connections that a tool makes: at `upstream` where there
    /// is one, else at `listen()`.
    [[nodiscard]] Endpoint server() const { return upstream.value_or(listen()); }

    /// Returns address:proxy_port, which is free, too: for a tool of two halves, where the one
    /// listens for the other.
    [[nodiscard]] Endpoint spare() const { return {address, proxy_port}; }

    /// Returns clients[0]:proxy_port. Throws NoCombinations where there are no clients.
    [[nodiscard]] Endpoint client() const;
};

/// Finds two free ports for each address, in ascending order from `first_port + config.offset`. No
/// number is given out twice, not on different addresses, not to two harnesses on one machine (in
/// one network namespace) as long as a copy of the result lives. An address on which nothing can be
/// bound is left out.
///
/// Throws PortRangeError where the search leaves 1..65535, PermissionDenied for ports that this
/// user may not listen on.
std::vector<AddrPort> find_ports(const Config& config, const std::vector<Address>& addresses,
                                 int first_port = default_first_port);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/discovery/detail/ports.ipp" // IWYU pragma: export
#endif
