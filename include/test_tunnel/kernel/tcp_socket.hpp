#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// A TCP socket of this network namespace, whichever process owns it.
struct TcpSocket {
    /// The address and port to which it is bound.
    Endpoint local;
    /// The other end of its connection; the null address and port 0 where it has none.
    Endpoint remote;
    /// Whether it takes new connections.
    bool listens = false;
    /// Its number in the system, by which its owner is found; 0 where no process owns it any more.
    std::uint64_t inode = 0;
    /// How many bytes have arrived that its owner has not read yet. Known only of what
    /// `tcp_connection` and `tcp_listener` return.
    std::size_t unread = 0;
    /// Whether both directions of its connection are still open. Known as `unread` is.
    bool established = false;
    /// After how long the other end is asked whether it is still there, unless something arrives
    /// before (keep-alive, RFC 9293, section 3.8.4); nothing where it will not be. Known as
    /// `unread` is, while nothing that was sent waits to be acknowledged.
    std::optional<Duration> asks_in{};
    /// Whether its owner waits for the other end to accept its connection (SYN-SENT, RFC 9293,
    /// section 3.3.2). Known only where all sockets are looked at.
    bool dials = false;
};

/// How many TCP sockets are in which state (RFC 9293, section 3.3.2), of those that belong to a
/// process.
struct TcpStates {
    /// Take new connections.
    std::size_t listen = 0;
    /// Wait for the other end to accept their connection.
    std::size_t syn_sent = 0;
    /// Open in both directions, as far as this end knows.
    std::size_t established = 0;
    /// This end has ended its direction, the other one has not (FIN-WAIT-1 and 2).
    std::size_t fin_wait = 0;
    /// The other end has ended its direction, this one has not.
    std::size_t close_wait = 0;
    /// Both ends have ended theirs, and one does not know it yet (CLOSING, LAST-ACK).
    std::size_t closing = 0;

    friend bool operator==(const TcpStates&, const TcpStates&) = default;

    /// "1 listen, 2 established, 3 close-wait"; "none".
    [[nodiscard]] std::string text() const;
};

} // namespace test_tunnel
