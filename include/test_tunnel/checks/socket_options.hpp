#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "../detail/platform.hpp"
#include "../detail/system.hpp"
#include "../socket.hpp"

namespace test_tunnel::check {

/// The harness's own end holds little that it has written: what the writer gets rid of, the tool
/// has taken, and a slow one has not much left to do when the writer stops.
inline void limit_send_buffer(const Socket& socket) {
    const int size = 1 << 18;
    detail::checked(::setsockopt(socket.fd(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size),
                    "setsockopt(SO_SNDBUF)");
}

/// When the reader's system acknowledges what has arrived.
enum class Acknowledges { late, at_once };

/// For the next segments; elsewhere than on Linux the system does as it likes.
inline void acknowledge(const Socket& socket, Acknowledges when) {
#if TEST_TUNNEL_LINUX
    const int value = when == Acknowledges::at_once ? 1 : 0;
    detail::checked(::setsockopt(socket.fd(), IPPROTO_TCP, TCP_QUICKACK, &value, sizeof value),
                    "setsockopt(TCP_QUICKACK)");
#else
    static_cast<void>(socket);
    static_cast<void>(when);
#endif
}

} // namespace test_tunnel::check
