#pragma once

#include <cerrno>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../address.hpp"
#include "../config.hpp"
#include "../detail/port_lock.hpp"
#include "../error.hpp"
#include "../socket.hpp"

namespace test_tunnel {

/// The first port number that is tried where the configuration has no offset.
inline constexpr int default_first_port = 6374;

/// Keeps port numbers from being given out to anyone else, this process included, as long as a copy
/// of it lives.
class PortReservation {
public:
    PortReservation() = default;
    explicit PortReservation(std::vector<detail::PortLock> locks)
        : locks_{std::make_shared<const std::vector<detail::PortLock>>(std::move(locks))} {}

private:
    std::shared_ptr<const std::vector<detail::PortLock>> locks_;
};

/// An address to listen on, two ports of its own, and the addresses that can connect to it.
struct AddrPort {
    Address address;
    /// Where somebody listens on `address`.
    std::uint16_t svc_port = 0;
    /// Where whoever connects to it comes from.
    std::uint16_t proxy_port = 0;
    /// Who can connect to `address`, found out by connecting.
    std::vector<Address> clients;
    PortReservation reservation;

    /// The address's: '4' or '6'.
    [[nodiscard]] char family_id() const { return test_tunnel::family_id(address.family()); }

    /// address:svc_port
    [[nodiscard]] Endpoint listen() const { return {address, svc_port}; }

    /// clients[0]:proxy_port; throws NoCombinations where there are no clients.
    [[nodiscard]] Endpoint client() const {
        if (clients.empty()) {
            throw NoCombinations{fmt::format("{} has no client address", address)};
        }
        return {clients.front(), proxy_port};
    }
};

namespace detail {

/// What came of an attempt to bind.
enum class Bound { yes, port_taken, not_permitted, impossible };

/// Tries to bind without address reuse: that fails too where an ended connection still lingers on
/// the port (TIME_WAIT), which a tool that doesn't reuse addresses could not bind either.
inline Bound try_bind(const Endpoint& endpoint) {
    const Socket socket{endpoint.address.family()};
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

    /// The next port that is free on this address; nothing where the address can't be bound at all.
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

    /// All the locks taken; the search is over then.
    PortReservation reservation() && { return PortReservation{std::move(locks_)}; }

private:
    static constexpr int max_port = std::numeric_limits<std::uint16_t>::max();

    static Bound try_port(const Address& address, std::uint16_t port) {
        // The port must be free on every address: the clients' addresses are not known yet, and an
        // ended connection on one of them would be in the way too.
        const auto everywhere = Address::from_packed(std::string(address.packed().size(), '\0'));
        const auto bound = try_bind({everywhere, port});
        return bound == Bound::port_taken ? bound : try_bind({address, port});
    }

    std::string origin_;
    int next_ = 0;
    int block_ = -1;
    std::vector<PortLock> locks_;
};

} // namespace detail

/// Two free ports for each address, in ascending order from `first_port + config.offset`. No number
/// is given out twice, not on different addresses, not to two harnesses on one machine
/// (in one network namespace) as long as a copy of the result lives. An address on which nothing
/// can be bound is left out.
///
/// Throws PortRangeError where the search leaves 1..65535, PermissionDenied for ports that this
/// user may not listen on.
inline std::vector<AddrPort> find_ports(const Config& config, const std::vector<Address>& addresses,
                                        int first_port = default_first_port) {
    detail::PortSearch search{first_port, config.offset};
    std::vector<AddrPort> result;
    for (const auto& address : addresses) {
        const auto svc_port = search.take(address);
        const auto proxy_port = svc_port ? search.take(address) : std::nullopt;
        if (!proxy_port) {
            config.log->info(fmt::format("{} is left out: nothing can be bound there", address));
            continue;
        }
        result.push_back({address, *svc_port, *proxy_port, {}, {}});
    }
    const auto reservation = std::move(search).reservation();
    for (auto& entry : result) {
        entry.reservation = reservation;
    }
    return result;
}

} // namespace test_tunnel
