#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// The version of the PROXY protocol: a line of text, or bytes.
enum class ProxyVersion { v1 = 1, v2 = 2 };

/// Who wanted the connection.
enum class ProxyCommand {
    /// A client did.
    proxy,
    /// The proxy itself did, to see whether the server lives. Version 2 only.
    local
};

/// What a PROXY header says, on the way in and on the way out.
struct ProxyHeader {
    /// The form in which it was read, or is to be written.
    ProxyVersion version = ProxyVersion::v1;
    /// Who wanted the connection.
    ProxyCommand command = ProxyCommand::proxy;
    /// The client, as the proxy sees it; nothing where the header says that it is unknown, or
    /// `command` is `local`. The scope of a link-local address is not carried.
    std::optional<Endpoint> source = {};
    /// The endpoint to which the client had connected; present where `source` is.
    std::optional<Endpoint> destination = {};

    /// Headers are equal where all members are.
    friend bool operator==(const ProxyHeader&, const ProxyHeader&) = default;
};

/// Reads the header with which a proxy opens a connection (PROXY protocol, §2.1 and §2.2 of
/// haproxy's doc/proxy-protocol.txt), as the server does; each piece as long as the socket's own
/// timeout lets it. The next byte is the client's:
///
///     const auto header = read_proxy_header(server, ProxyVersion::v2);
///     CHECK(header.source == client.local());
///
/// `version` demands that version; by default, either does.
///
/// No addresses are returned for version 1's UNKNOWN, and for version 2's LOCAL, UNSPEC, UDP and
/// UNIX sockets. The values that follow version 2's addresses are walked through, their lengths
/// checked, and a checksum among them too (§2.2.3); they are not returned.
///
/// Throws Unexpected, with the bytes and the section, for whatever the protocol does not allow.
template <SocketLike Server>
ProxyHeader read_proxy_header(Server& server, std::optional<ProxyVersion> version = std::nullopt);

/// Reads the header of a proxy that must say whose connection it is, and returns the client, for
/// `TestTunnel::open_server`. Throws Unexpected as `read_proxy_header` does, and where the header
/// tells no addresses.
template <SocketLike Server>
Endpoint read_proxied_client(Server& server, std::optional<ProxyVersion> version = std::nullopt);

/// Opens a connection to a tool that expects a PROXY header from its client:
///
///     write_proxy_header(client, {.source = client.local(), .destination = client.peer()});
///
/// Without addresses it says UNKNOWN (version 1), or UNSPEC (version 2). Throws InvalidConfig,
/// before anything is sent, for one address alone, for two of different families, for addresses
/// with `local`, and for `local` in version 1.
template <SocketLike Client>
void write_proxy_header(Client& client, const ProxyHeader& header);

namespace detail {

inline constexpr std::string_view proxy_signature{"\r\n\r\n\0\r\nQUIT\n", 12};

/// Returns the checksum CRC-32C (RFC 9260 Appendix A).
constexpr std::uint32_t crc32c(std::string_view bytes) {
    std::uint32_t result = 0xffffffffU;
    for (const char byte : bytes) {
        result ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; ++bit) {
            result = result >> 1U ^ ((result & 1U) != 0 ? 0x82f63b78U : 0U);
        }
    }
    return ~result;
}

/// The words of version 1's line.
template <SocketLike Source>
class ProxyLine {
public:
    ProxyLine(const Reply<Source>& reply, std::size_t start)
        : reply_{&reply},
          position_{start},
          // Without its CRLF.
          line_{std::string_view{reply.bytes()}.substr(0, reply.bytes().size() - 2)} {}

    Address address(Family family) {
        const auto [start, word] = next();
        // Before Address::parse, which knows scopes.
        if (word.find('%') == std::string_view::npos) {
            try {
                const auto result = Address::parse(word);
                if (result.family() == family) {
                    return result;
                }
            } catch (const InvalidAddress&) { // said below, with the bytes
            }
        }
        reply_->reject(
            start, family == Family::ipv4 ? "an IPv4 address (§2.1)" : "an IPv6 address (§2.1)");
    }

    std::uint16_t port() {
        const auto [start, word] = next();
        std::uint16_t result = 0;
        const auto* const end = word.data() + word.size();
        const auto [stop, error] = std::from_chars(word.data(), end, result);
        if (error != std::errc{} || stop != end || (word.size() > 1 && word.front() == '0')) {
            reply_->reject(start, "a port from 0 to 65535, without leading zeros (§2.1)");
        }
        return result;
    }

    void end() const {
        if (position_ <= line_.size()) {
            reply_->reject(position_ - 1, "the end of the line (§2.1)");
        }
    }

private:
    std::pair<std::size_t, std::string_view> next() {
        const auto start = std::min(position_, line_.size());
        const auto word = line_.substr(start, line_.find(' ', start) - start);
        position_ = start + word.size() + 1;
        return {start, word};
    }

    const Reply<Source>* reply_;
    std::size_t position_;
    std::string_view line_;
};

/// Reads the rest of version 1's line (§2.1).
template <SocketLike Source>
ProxyHeader read_proxy_v1(Reply<Source>& reply) {
    constexpr std::size_t longest = 107;
    const std::string& bytes = reply.bytes();
    while (!bytes.ends_with("\r\n")) {
        const auto offset = bytes.size();
        if (offset >= longest) {
            reply.reject(offset, "CRLF within 107 bytes (§2.1)");
        }
        const bool after_cr = bytes.back() == '\r';
        reply.read_up_to(after_cr || offset + 1 == longest ? 1 : 2);
        for (auto i = offset; i < bytes.size(); ++i) {
            const bool wants_lf = bytes[i - 1] == '\r';
            if ((bytes[i] == '\n') != wants_lf) {
                reply.reject(
                    i, wants_lf ? "CRLF, not a bare CR (§2.1)" : "CRLF, not a bare LF (§2.1)");
            }
        }
    }
    constexpr std::string_view start = "PROXY ";
    const auto rest = std::string_view{bytes}.substr(start.size());
    if (rest.starts_with("UNKNOWN\r\n") || rest.starts_with("UNKNOWN ")) {
        return {.version = ProxyVersion::v1};
    }
    const bool ipv4 = rest.starts_with("TCP4 ");
    if (!ipv4 && !rest.starts_with("TCP6 ")) {
        reply.reject(start.size(), "TCP4, TCP6 or UNKNOWN (§2.1)");
    }
    ProxyLine line{reply, start.size() + std::string_view{"TCP4 "}.size()};
    const auto family = ipv4 ? Family::ipv4 : Family::ipv6;
    const auto source = line.address(family);
    const auto destination = line.address(family);
    const auto source_port = line.port();
    const auto destination_port = line.port();
    line.end();
    return {.version = ProxyVersion::v1,
            .source = Endpoint{source, source_port},
            .destination = Endpoint{destination, destination_port}};
}

/// Walks through type-length-values from `offset` on, those within PP2_TYPE_SSL included; gives the
/// offset of the checksum's four bytes, 0 where there is none (§2.2.1 to §2.2.8).
template <SocketLike Source>
std::size_t walk_proxy_values(const Reply<Source>& reply, std::size_t offset, std::size_t end) {
    constexpr unsigned checksum_type = 0x03;
    constexpr unsigned unique_id_type = 0x05;
    constexpr unsigned ssl_type = 0x20;
    constexpr std::size_t head = 3;
    constexpr std::size_t ssl_head = 5;
    std::size_t checksum = 0;
    while (offset < end) {
        const bool has_head = end - offset >= head;
        const std::size_t length = has_head ? number_at(reply.bytes(), offset + 1) : 0;
        if (!has_head || length > end - offset - head) {
            reply.reject(offset, "a type-length-value that ends within the header (§2.2)");
        }
        const unsigned type = byte_at(reply.bytes(), offset);
        const auto value = offset + head;
        if (type == checksum_type) {
            if (length != 4 || checksum != 0) {
                reply.reject(offset, "one checksum of 4 bytes (§2.2.3)");
            }
            checksum = value;
        } else if (type == unique_id_type && length > 128) {
            reply.reject(offset, "a unique ID of at most 128 bytes (§2.2.5)");
        } else if (type == ssl_type) {
            if (length < ssl_head) {
                reply.reject(offset, "at least 5 bytes about SSL (§2.2.6)");
            }
            walk_proxy_values(reply, value + ssl_head, value + length);
        }
        offset = value + length;
    }
    return checksum;
}

/// Reads what follows version 2's signature (§2.2).
template <SocketLike Source>
ProxyHeader read_proxy_v2(Reply<Source>& reply) {
    constexpr std::size_t fixed = 16;
    const auto version_and_command = reply.read_byte();
    if (version_and_command != 0x20 && version_and_command != 0x21) {
        reply.reject(12, "version 2, and LOCAL (0x20) or PROXY (0x21) (§2.2)");
    }
    const bool local = version_and_command == 0x20;
    ProxyHeader result{.version = ProxyVersion::v2,
                       .command = local ? ProxyCommand::local : ProxyCommand::proxy};
    const unsigned family = reply.read_byte();
    constexpr std::array<std::pair<unsigned, std::size_t>, 7> sizes{
        {{0x00, 0}, {0x11, 12}, {0x12, 12}, {0x21, 36}, {0x22, 36}, {0x31, 216}, {0x32, 216}}};
    const auto* const known = std::find_if(
        sizes.begin(), sizes.end(), [&](const auto& entry) { return entry.first == family; });
    if (known == sizes.end() && !local) {
        reply.reject(13,
                     "a family and protocol that are known: 0x00, 0x11, 0x12, 0x21, 0x22, "
                     "0x31 or 0x32 (§2.2)");
    }
    const std::size_t length = number_at(reply.read(2), 0);
    if (local) {
        reply.read(length); // whatever it is, it must be passed over
        return result;
    }
    const auto addresses = known->second;
    if (length < addresses) {
        reply.reject(14, fmt::format("a length of at least {} (§2.2)", addresses));
    }
    reply.read(length);
    if (family == 0x00) {
        return result; // and whatever follows is no business of anyone's
    }
    const auto end = fixed + length;
    const auto checksum = walk_proxy_values(reply, fixed + addresses, end);
    if (checksum != 0) {
        auto zeroed = reply.bytes();
        zeroed.replace(checksum, 4, 4, '\0');
        const auto crc = crc32c(zeroed);
        if (two_bytes(crc >> 16U) + two_bytes(crc & 0xffffU) != reply.bytes().substr(checksum, 4)) {
            reply.reject(checksum, fmt::format("the checksum 0x{:08x} (§2.2.3)", crc));
        }
    }
    if (family == 0x11 || family == 0x21) {
        const std::string_view block = std::string_view{reply.bytes()}.substr(fixed, addresses);
        const std::size_t size = family == 0x11 ? 4 : 16;
        result.source = {Address::from_packed(block.substr(0, size)), number_at(block, 2 * size)};
        result.destination = {Address::from_packed(block.substr(size, size)),
                              number_at(block, 2 * size + 2)};
    }
    return result;
}

inline std::string proxy_header_bytes(const ProxyHeader& header) {
    const bool v1 = header.version == ProxyVersion::v1;
    const bool local = header.command == ProxyCommand::local;
    const auto& source = header.source;
    const auto& destination = header.destination;
    if (source.has_value() != destination.has_value()) {
        throw InvalidConfig{"a PROXY header has a source and a destination, or neither"};
    }
    if (source && source->address.family() != destination->address.family()) {
        throw InvalidConfig{fmt::format("{} and {} in one PROXY header are of different families",
                                        *source, *destination)};
    }
    if (local && (v1 || source)) {
        throw InvalidConfig{v1 ? "LOCAL needs version 2 of the PROXY protocol"
                               : "a PROXY header of a LOCAL connection has no addresses (§2.2)"};
    }
    // From their bytes alone: without their scopes.
    const auto plain = [](const Endpoint& endpoint) {
        return Address::from_packed(endpoint.address.packed());
    };
    if (v1) {
        return !source ? "PROXY UNKNOWN\r\n"
                       : fmt::format("PROXY TCP{} {} {} {} {}\r\n",
                                     family_id(source->address.family()), plain(*source),
                                     plain(*destination), source->port, destination->port);
    }
    std::string result{proxy_signature};
    result += local ? '\x20' : '\x21';
    if (!source) {
        return result += std::string_view{"\0\0\0", 3};
    }
    const auto packed = source->address.packed();
    result += source->address.family() == Family::ipv4 ? '\x11' : '\x21';
    result += two_bytes(2 * packed.size() + 4);
    result += packed;
    result += destination->address.packed();
    result += two_bytes(source->port);
    return result += two_bytes(destination->port);
}

/// Throws Unexpected where a header tells no addresses.
inline Endpoint client_told_by(const ProxyHeader& header) {
    if (!header.source) {
        throw Unexpected{
            "a PROXY header that tells the client's address",
            header.command == ProxyCommand::local ? "it says LOCAL" : "it says that it is unknown"};
    }
    return *header.source;
}

} // namespace detail

template <SocketLike Server>
ProxyHeader read_proxy_header(Server& server, std::optional<ProxyVersion> version) {
    constexpr std::string_view text = "PROXY ";
    constexpr std::string_view v1_expected = "'PROXY ' (§2.1)";
    constexpr std::string_view v2_expected = "the signature of version 2 (§2.2)";
    detail::Reply reply{server, "a PROXY header (haproxy's proxy-protocol.txt §2)"};
    const char first = static_cast<char>(reply.read_byte());
    const bool is_v1 = first == text.front();
    const bool is_v2 = first == detail::proxy_signature.front();
    if (!version && !is_v1 && !is_v2) {
        reply.reject(0, "'PROXY ' or the signature of version 2 (§2)");
    }
    if (version.value_or(is_v1 ? ProxyVersion::v1 : ProxyVersion::v2) == ProxyVersion::v1) {
        if (!is_v1) {
            reply.reject(0, v1_expected);
        }
        reply.read_constant(text.substr(1), v1_expected);
        return detail::read_proxy_v1(reply);
    }
    if (!is_v2) {
        reply.reject(0, v2_expected);
    }
    reply.read_constant(detail::proxy_signature.substr(1), v2_expected);
    return detail::read_proxy_v2(reply);
}

template <SocketLike Server>
Endpoint read_proxied_client(Server& server, std::optional<ProxyVersion> version) {
    return detail::client_told_by(read_proxy_header(server, version));
}

template <SocketLike Client>
void write_proxy_header(Client& client, const ProxyHeader& header) {
    client.write(detail::proxy_header_bytes(header));
}

} // namespace test_tunnel
