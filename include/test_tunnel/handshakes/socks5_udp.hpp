#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/handshakes/socks5.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// A datagram as a SOCKS5 server relays it: what its header says (RFC 1928 §7), and what follows.
struct Socks5Datagram {
    /// Which fragment of a longer datagram it is; 0: it is whole.
    unsigned fragment = 0;
    /// Whom it is for or, in an answer, from whom it comes; of a domain name, the port only.
    Endpoint endpoint;
    /// The domain name, where the header has one in place of an address.
    std::optional<std::string> name;
    /// What follows the header.
    std::string data;

    /// Datagrams are equal where their headers and their data are.
    friend bool operator==(const Socks5Datagram&, const Socks5Datagram&) = default;

    /// Returns whom the header names: "192.0.2.1:80", "host.example:80".
    [[nodiscard]] std::string peer() const {
        return name ? fmt::format("{}:{}", *name, endpoint.port) : endpoint.text();
    }
};

/// Asks a SOCKS5 server to relay datagrams (UDP ASSOCIATE, RFC 1928 §6), and waits for its replies,
/// each read as long as the control connection's own timeout lets it:
///
///     const auto relay = socks5_associate(control, udp.local());
///
/// `client` is where the datagrams will come from; 0.0.0.0:0 or [::]:0 where that is not known yet.
/// The association lasts as long as the connection `control`. Of `options`, `name` has no meaning
/// here.
///
/// Returns the endpoint to which datagrams are to be sent, as the server tells it: its address may
/// be 0.0.0.0 or ::, by which servers mean the one that `control` is connected to; nothing where it
/// names itself by a domain name. Throws as `socks5_connect` does.
template <SocketLike Client>
std::optional<Endpoint> socks5_associate(Client& control, const Endpoint& client,
                                         const Socks5Options& options = {});

/// Returns `data` with the header that has a SOCKS5 server relay it to `target` (RFC 1928 §7): by
/// address or, where `name` is given, by that name and the target's port. Throws InvalidConfig for
/// a name that is empty or longer than 255 bytes.
inline std::string socks5_datagram(const Endpoint& target, std::string_view data,
                                   const std::optional<std::string>& name = std::nullopt) {
    using namespace std::string_literals;
    return "\x00\x00\x00"s + detail::socks5_address(target, name) + std::string{data};
}

/// Reads a datagram that a SOCKS5 server has relayed, and is strict about its header. Throws
/// Unexpected, with the bytes and the section of RFC 1928, for one that is cut off, for a reserved
/// byte other than 0x00, a type of address without a meaning, and a domain name that is none.
inline Socks5Datagram read_socks5_datagram(std::string_view datagram);

namespace detail {

/// Where the header of a datagram has what.
struct Socks5Header {
    static constexpr std::size_t fragment = 2;
    static constexpr std::size_t type = 3;
    static constexpr std::size_t address = 4;
};

/// What is read of one datagram, from its beginning on.
class DatagramReader {
public:
    explicit DatagramReader(std::string_view bytes) : bytes_{bytes} {}

    [[noreturn]] void reject(std::size_t position, std::string_view expected) const {
        throw Unexpected{fmt::format("{} in the header of a datagram (RFC 1928 §7)", expected),
                         bytes_around(bytes_, position)};
    }

    std::string_view read(std::size_t size, std::string_view expected) {
        if (bytes_.size() - position_ < size) {
            reject(bytes_.size(), expected);
        }
        position_ += size;
        return bytes_.substr(position_ - size, size);
    }

    [[nodiscard]] std::string_view rest() const { return bytes_.substr(position_); }

private:
    std::string_view bytes_;
    std::size_t position_ = 0;
};

} // namespace detail

inline Socks5Datagram read_socks5_datagram(std::string_view datagram) {
    using detail::Socks5Header;
    detail::DatagramReader reader{datagram};
    Socks5Datagram result;
    const auto reserved = reader.read(2, "two reserved bytes");
    if (const auto wrong = reserved.find_first_not_of('\0'); wrong != std::string_view::npos) {
        reader.reject(wrong, "0x0000 as the two reserved bytes");
    }
    result.fragment = detail::byte_at(reader.read(1, "the number of a fragment"), 0);
    switch (detail::byte_at(reader.read(1, "a type of address"), 0)) {
        case 0x01:
            result.endpoint.address =
                Address::from_packed(reader.read(4, "an IPv4 address of 4 bytes"));
            break;
        case 0x04:
            result.endpoint.address =
                Address::from_packed(reader.read(16, "an IPv6 address of 16 bytes"));
            break;
        case 0x03: {
            const std::size_t length =
                detail::byte_at(reader.read(1, "the length of a domain name"), 0);
            if (length == 0) {
                reader.reject(Socks5Header::address, "a domain name of at least 1 byte");
            }
            result.name = reader.read(length, fmt::format("a domain name of {} bytes", length));
            if (const auto nul = result.name->find('\0'); nul != std::string::npos) {
                reader.reject(Socks5Header::address + 1 + nul, "a domain name without a NUL");
            }
            break;
        }
        default:
            reader.reject(Socks5Header::type, "an address type of 0x01, 0x03 or 0x04");
    }
    result.endpoint.port = detail::number_at(reader.read(2, "a port of 2 bytes"), 0);
    result.data = reader.rest();
    return result;
}

template <SocketLike Client>
std::optional<Endpoint> socks5_associate(Client& control, const Endpoint& client,
                                         const Socks5Options& options) {
    using namespace std::string_literals;
    const auto request = "\x05\x03\x00"s + detail::socks5_address(client, std::nullopt);
    detail::socks5_authenticate(control, options);
    control.write(request);
    return detail::read_socks5_reply(control, "the reply to UDP ASSOCIATE (RFC 1928 §6)");
}

} // namespace test_tunnel
