#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/handshakes/proxy_protocol.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// A datagram that begins with a header of the PROXY protocol, version 2.
struct ProxyDatagram {
    /// The client, as the proxy sees it; nothing where the header says LOCAL or UNSPEC.
    std::optional<Endpoint> source;
    /// Where the client has sent to; present where `source` is.
    std::optional<Endpoint> destination;
    /// What follows the header.
    std::string data;

    /// Datagrams are equal where all members are.
    friend bool operator==(const ProxyDatagram&, const ProxyDatagram&) = default;
};

namespace detail {

/// A handshake that is written down, or read from what was.
class TextStream {
public:
    explicit TextStream(std::string_view input = {}) : input_{input} {}

    std::size_t read_some(char* buffer, std::size_t size) {
        const auto count = input_.substr(consumed_).copy(buffer, size);
        consumed_ += count;
        return count;
    }
    void write(std::string_view data) { written_ += data; }

    [[nodiscard]] std::size_t consumed() const noexcept { return consumed_; }
    [[nodiscard]] const std::string& written() const noexcept { return written_; }

private:
    std::string_view input_;
    std::size_t consumed_ = 0;
    std::string written_;
};

/// Where version 2's header has the family and the protocol, and where its addresses begin.
inline constexpr std::size_t proxy_family = 13;
inline constexpr std::size_t proxy_addresses = 16;

} // namespace detail

/// Returns `data` with the header that tells a tool who has sent the datagram (PROXY protocol §2.2,
/// UDP over IPv4 or IPv6). Throws InvalidConfig for endpoints of different families.
inline std::string proxy_datagram(const Endpoint& source, const Endpoint& destination,
                                  std::string_view data) {
    detail::TextStream stream;
    write_proxy_header(stream,
                       {.version = ProxyVersion::v2, .source = source, .destination = destination});
    auto result = stream.written();
    ++result.at(detail::proxy_family); // from STREAM to DGRAM
    return result.append(data);
}

/// Reads a datagram that begins with the header of a proxy, and is as strict about that as
/// `read_proxy_header`. Throws Unexpected, with the bytes and the section, also for a header that
/// is one of a connection.
inline ProxyDatagram read_proxy_datagram(std::string_view datagram) {
    detail::TextStream stream{datagram};
    const auto header = read_proxy_header(stream, ProxyVersion::v2);
    ProxyDatagram result{
        .source = {}, .destination = {}, .data = std::string{datagram.substr(stream.consumed())}};
    constexpr unsigned unspecified = 0x00;
    constexpr unsigned over_ipv4 = 0x12;
    constexpr unsigned over_ipv6 = 0x22;
    const unsigned family = detail::byte_at(datagram, detail::proxy_family);
    if (header.command == ProxyCommand::local || family == unspecified) {
        return result;
    }
    if (family != over_ipv4 && family != over_ipv6) {
        throw Unexpected{"a header of UDP over IPv4 (0x12) or IPv6 (0x22) (PROXY protocol §2.2)",
                         bytes_around(datagram, detail::proxy_family)};
    }
    const std::size_t size = family == over_ipv4 ? 4 : 16;
    const auto addresses = datagram.substr(detail::proxy_addresses);
    const auto endpoint = [&](std::size_t number) {
        return Endpoint{Address::from_packed(addresses.substr(number * size, size)),
                        detail::number_at(addresses, 2 * size + 2 * number)};
    };
    result.source = endpoint(0);
    result.destination = endpoint(1);
    return result;
}

} // namespace test_tunnel
