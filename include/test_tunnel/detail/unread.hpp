#pragma once

#include <algorithm>
#include <cstddef>

#include "../address.hpp"
#include "platform.hpp"

#if TEST_TUNNEL_LINUX
#include "sock_diag.hpp"
#endif

namespace test_tunnel::detail {

/// How much waits at the end `local` of a connection, whoever owns it, to be read by its owner:
/// bytes that have arrived, and one for the end of the stream, also while that is still to come. 0
/// where the owner has read all of it, or it is not known.
inline std::size_t unread_at([[maybe_unused]] const Endpoint& local,
                             [[maybe_unused]] const Endpoint& remote) {
#if TEST_TUNNEL_LINUX
    if (const auto socket = SockDiag::connection(local, remote)) {
        return std::max<std::size_t>(socket->unread, socket->established ? 1 : 0);
    }
#endif
    return 0;
}

/// How many bytes wait at the end `local` of a connection to be read by its owner; 0 where it is
/// not known.
inline std::size_t unread_bytes_at([[maybe_unused]] const Endpoint& local,
                                   [[maybe_unused]] const Endpoint& remote) {
#if TEST_TUNNEL_LINUX
    const auto socket = SockDiag::connection(local, remote);
    return socket ? socket->unread : 0;
#else
    return 0;
#endif
}

} // namespace test_tunnel::detail
