#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "../address.hpp"
#include "../config.hpp"
#include "../detail/inline.hpp"

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
    /// Keeps nothing.
    PortReservation() = default;
    /// Made by `find_ports`: keeps the numbers of `locks`.
    explicit PortReservation(std::vector<detail::PortLock> locks);

private:
    std::shared_ptr<const std::vector<detail::PortLock>> locks_;
};

/// An address to listen on, two ports of its own, and the addresses that can connect to it.
struct AddrPort {
    /// One of this machine's.
    Address address;
    /// Where somebody listens on `address`.
    std::uint16_t svc_port = 0;
    /// Where whoever connects to it comes from.
    std::uint16_t proxy_port = 0;
    /// Who can connect to `address`, found out by connecting.
    std::vector<Address> clients;
    /// Of both ports, and of all others that were found in the same search.
    PortReservation reservation;

    /// The address's: '4' or '6'.
    [[nodiscard]] char family_id() const { return test_tunnel::family_id(address.family()); }

    /// address:svc_port
    [[nodiscard]] Endpoint listen() const { return {address, svc_port}; }

    /// clients[0]:proxy_port; throws NoCombinations where there are no clients.
    [[nodiscard]] Endpoint client() const;
};

/// Two free ports for each address, in ascending order from `first_port + config.offset`. No number
/// is given out twice, not on different addresses, not to two harnesses on one machine
/// (in one network namespace) as long as a copy of the result lives. An address on which nothing
/// can be bound is left out.
///
/// Throws PortRangeError where the search leaves 1..65535, PermissionDenied for ports that this
/// user may not listen on.
std::vector<AddrPort> find_ports(const Config& config, const std::vector<Address>& addresses,
                                 int first_port = default_first_port);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "../detail/impl/ports.hpp" // IWYU pragma: export
#endif
