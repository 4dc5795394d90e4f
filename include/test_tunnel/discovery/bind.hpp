#pragma once

#include <cerrno>

#include "test_tunnel/base/error.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/datagram_socket.hpp"
#include "test_tunnel/net/socket.hpp"

namespace test_tunnel {

namespace detail {

/// Returns a new socket of this kind, bound to `endpoint`.
template <typename AnySocket>
AnySocket bound_socket(const Config& config, const Endpoint& endpoint) {
    AnySocket result{endpoint.address.family(), config.timeouts.io};
    try {
        result.bind(endpoint);
    } catch (const SystemError& error) {
        if (error.code() == EACCES) {
            throw PermissionDenied{
                fmt::format("{}: this user may not have that port", error.what())};
        }
        throw;
    }
    return result;
}

} // namespace detail

/// Returns a new TCP socket with the timeout of `config`, bound to `endpoint` with address reuse
/// on; an IPv6 socket takes IPv6 only. Throws SystemError, and PermissionDenied for a port that
/// this user may not have.
inline Socket bind_to(const Config& config, const Endpoint& endpoint) {
    return detail::bound_socket<Socket>(config, endpoint);
}

/// Returns a new UDP socket with the timeout of `config`, bound to `endpoint`; an IPv6 socket takes
/// IPv6 only. Throws SystemError, and PermissionDenied for a port that this user may not have.
inline DatagramSocket bind_datagrams_to(const Config& config, const Endpoint& endpoint) {
    return detail::bound_socket<DatagramSocket>(config, endpoint);
}

} // namespace test_tunnel
