#pragma once

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/error.hpp"
#include "test_tunnel/discovery/detail/port_lock.hpp"
#include "test_tunnel/discovery/ports.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/datagram_socket.hpp"
#include "test_tunnel/net/detail/socket_address.hpp"
#include "test_tunnel/net/socket.hpp"

namespace test_tunnel::detail {

/// What came of an attempt to bind.
enum class Bound { yes, port_taken, not_permitted, impossible };

/// Tries to bind without address reuse: that fails too where an ended connection still occupies
/// the port (TIME_WAIT), which a tool that doesn't reuse addresses could not bind either.
template <typename AnySocket>
Bound try_bind(const AnySocket& socket, const Endpoint& endpoint) {
    SocketAddress address{endpoint};
    if (::bind(socket.fd(), address.data(), *address.length()) == 0) {
        return Bound::yes;
    }
    switch (errno) {
        case EADDRINUSE:
            return Bound::port_taken;
        case EACCES:
            return Bound::not_permitted;
        default:
            return Bound::impossible;
    }
}

/// Gives out port numbers in ascending order, each once, each locked against other harnesses.
class PortSearch {
public:
    PortSearch(int first_port, int offset)
        : origin_{fmt::format("first port {} with offset {}", first_port, offset)} {
        const auto start = std::int64_t{first_port} + offset;
        if (start < 1 || start > max_port) {
            throw PortRangeError{
                fmt::format("{} is {}: not a port number (1 to {})", origin_, start, max_port)};
        }
        next_ = static_cast<int>(start);
    }

    /// Returns the next port that is free on this address; nothing where the address can't be bound
    /// at all. Throws PortRangeError, PermissionDenied.
    std::optional<std::uint16_t> take(const Address& address) {
        while (next_ <= max_port) {
            const auto port = static_cast<std::uint16_t>(next_);
            const int block = next_ / PortLock::block_size;
            if (block != block_) {
                auto lock = PortLock::take(port);
                if (!lock) {
                    next_ = (block + 1) * PortLock::block_size;
                    continue;
                }
                block_ = block;
                locks_.push_back(*std::move(lock));
            }
            switch (try_port(address, port)) {
                case Bound::yes:
                    ++next_;
                    return port;
                case Bound::port_taken:
                    ++next_;
                    break;
                case Bound::not_permitted:
                    throw PermissionDenied{fmt::format(
                        "{}: this user may not listen on port {} ({})", address, port, origin_)};
                case Bound::impossible:
                    return std::nullopt;
            }
        }
        throw PortRangeError{fmt::format("{}: no free port is left up to {}", origin_, max_port)};
    }

    /// Returns all the locks taken; the search is over then.
    PortReservation reservation() && { return PortReservation{std::move(locks_)}; }

private:
    static constexpr int max_port = std::numeric_limits<std::uint16_t>::max();

    Bound try_port(const Address& address, std::uint16_t port) {
        // The port must be free on every address: the clients' addresses are not known yet, and an
        // ended connection on one of them would be in the way too.
        const auto family = address.family();
        const auto everywhere = Address::from_packed(std::string(address.packed().size(), '\0'));
        if (!unbound_ || unbound_->first != family) {
            unbound_.emplace(family, Socket{family});
        }
        if (try_bind(unbound_->second, {everywhere, port}) == Bound::port_taken) {
            return Bound::port_taken;
        }
        unbound_.reset();
        // For UDP, too: the tool may want that.
        if (try_bind(DatagramSocket{family}, {everywhere, port}) == Bound::port_taken) {
            return Bound::port_taken;
        }
        return try_bind(Socket{family}, {address, port});
    }

    std::string origin_;
    int next_ = 0;
    int block_ = -1;
    /// A socket for the next attempt to bind a port everywhere: it has not been bound where one was
    /// taken.
    std::optional<std::pair<Family, Socket>> unbound_;
    std::vector<PortLock> locks_;
};

} // namespace test_tunnel::detail
