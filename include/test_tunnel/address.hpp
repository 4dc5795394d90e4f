#pragma once

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "detail/fmt.hpp"
#include "detail/text.hpp"
#include "error.hpp"

namespace test_tunnel {

/// An address family; the values are the system's own (AF_INET, AF_INET6).
enum class Family : int { ipv4 = AF_INET, ipv6 = AF_INET6 };

/// '4' or '6'. Throws UnsupportedAddressFamily for anything else.
constexpr char family_id(Family family) {
    switch (family) {
        case Family::ipv4:
            return '4';
        case Family::ipv6:
            return '6';
    }
    throw UnsupportedAddressFamily{static_cast<int>(family)};
}

/// The same for a bare AF_ constant.
constexpr char family_id(int family) {
    return family_id(Family{family});
}

/// The length of an address in bits: 32 or 128. Throws UnsupportedAddressFamily for any
/// other family.
constexpr int prefix_length(Family family) {
    return family_id(family) == '4' ? 32 : 128;
}

/// The same for a bare AF_ constant.
constexpr int prefix_length(int family) {
    return prefix_length(Family{family});
}

/// An IPv4 or IPv6 address, with its scope where it is a link-local one.
///
/// Ordered by family, then by its bytes, then by scope.
class Address {
public:
    /// 0.0.0.0
    Address() = default;

    /// Reads "192.0.2.1", "2001:db8::1" or "fe80::1%eth0" (the scope by name or by number).
    /// Throws InvalidAddress.
    static Address parse(std::string_view text);

    /// From its 4 or 16 bytes in network order. Throws InvalidAddress for any other number of
    /// bytes; a scope is kept only where the address is a link-local one.
    static Address from_packed(std::string_view bytes, std::uint32_t scope = 0);

    /// From what the socket calls tell, without its port. Throws UnsupportedAddressFamily.
    static Address from_sockaddr(const sockaddr& address);

    /// `Family::ipv4` or `Family::ipv6`, no other.
    [[nodiscard]] Family family() const noexcept { return family_; }

    /// The 4 or 16 bytes in network order, as a protocol carries them.
    [[nodiscard]] std::string_view packed() const noexcept {
        return {bytes_.data(), family_ == Family::ipv4 ? 4U : 16U};
    }

    /// The index of the interface of a link-local IPv6 address, else 0.
    [[nodiscard]] std::uint32_t scope() const noexcept { return scope_; }

    /// "192.0.2.1", "2001:db8::1", "fe80::1%eth0".
    [[nodiscard]] std::string text() const;

    /// As a URL and most command lines want it: "192.0.2.1", "[2001:db8::1]".
    [[nodiscard]] std::string bracketed() const {
        return family_ == Family::ipv4 ? text() : fmt::format("[{}]", text());
    }

    /// 0.0.0.0 or ::
    [[nodiscard]] bool is_unspecified() const noexcept {
        return packed().find_first_not_of('\0') == std::string_view::npos;
    }

    /// 127.0.0.0/8 or ::1
    [[nodiscard]] bool is_loopback() const noexcept {
        static constexpr std::string_view ipv6_loopback{"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16};
        return family_ == Family::ipv4 ? bytes_[0] == 127 : packed() == ipv6_loopback;
    }

    /// fe80::/10
    [[nodiscard]] bool is_link_local() const noexcept {
        return family_ == Family::ipv6 && bytes_[0] == '\xfe' && (bytes_[1] & '\xc0') == '\x80';
    }

    /// The same family, bytes and scope.
    friend bool operator==(const Address&, const Address&) = default;
    /// By family, IPv4 first, then by bytes, then by scope.
    friend std::strong_ordering operator<=>(const Address& a, const Address& b) noexcept {
        if (a.family_ != b.family_) {
            return family_id(a.family_) <=> family_id(b.family_);
        }
        // string_view compares bytes as unsigned ones.
        const auto bytes = a.packed() <=> b.packed();
        return bytes != std::strong_ordering::equal ? bytes : a.scope_ <=> b.scope_;
    }

private:
    Family family_ = Family::ipv4;
    std::array<char, 16> bytes_{};
    std::uint32_t scope_ = 0;
};

/// An address and a TCP port.
struct Endpoint {
    /// By default 0.0.0.0.
    Address address;
    /// In the order of bytes of this machine; 0 where there is none yet: to bind to it has the
    /// system choose one.
    std::uint16_t port = 0;

    /// "192.0.2.1:80", "[2001:db8::1]:80".
    [[nodiscard]] std::string text() const {
        return fmt::format("{}:{}", address.bracketed(), port);
    }

    /// The same address, scope and port.
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
    /// By address, then by port.
    friend std::strong_ordering operator<=>(const Endpoint&, const Endpoint&) = default;
};

inline Address Address::from_packed(std::string_view bytes, std::uint32_t scope) {
    if (bytes.size() != 4 && bytes.size() != 16) {
        throw InvalidAddress{
            fmt::format("a packed address has 4 or 16 bytes, not {}", bytes.size())};
    }
    Address result;
    result.family_ = bytes.size() == 4 ? Family::ipv4 : Family::ipv6;
    bytes.copy(result.bytes_.data(), bytes.size());
    result.scope_ = result.is_link_local() ? scope : 0;
    return result;
}

inline Address Address::from_sockaddr(const sockaddr& address) {
    switch (address.sa_family) {
        case AF_INET: {
            sockaddr_in in{};
            std::memcpy(&in, &address, sizeof in);
            std::array<char, 4> bytes{};
            std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
            return from_packed({bytes.data(), bytes.size()});
        }
        case AF_INET6: {
            sockaddr_in6 in6{};
            std::memcpy(&in6, &address, sizeof in6);
            std::array<char, 16> bytes{};
            std::memcpy(bytes.data(), &in6.sin6_addr, bytes.size());
            return from_packed({bytes.data(), bytes.size()}, in6.sin6_scope_id);
        }
        default:
            throw UnsupportedAddressFamily{address.sa_family};
    }
}

inline Address Address::parse(std::string_view text) {
    const auto shown = detail::escape_controls(text);
    if (text.find('\0') != std::string_view::npos) {
        throw InvalidAddress{fmt::format("'{}': an address can't contain a NUL byte", shown)};
    }
    const auto percent = text.find('%');
    const std::string host{text.substr(0, percent)};
    std::array<char, 16> bytes{};
    if (percent == std::string_view::npos && inet_pton(AF_INET, host.c_str(), bytes.data()) == 1) {
        return from_packed({bytes.data(), 4});
    }
    if (inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1) {
        throw InvalidAddress{fmt::format("'{}' is no IPv4 or IPv6 address", shown)};
    }
    if (percent == std::string_view::npos) {
        return from_packed({bytes.data(), 16});
    }
    const std::string zone{text.substr(percent + 1)};
    std::uint32_t scope = if_nametoindex(zone.c_str());
    if (scope == 0) {
        const char* end = zone.data() + zone.size();
        const auto [stop, error] = std::from_chars(zone.data(), end, scope);
        if (error != std::errc{} || stop != end || scope == 0) {
            throw InvalidAddress{fmt::format("'{}' in '{}' is no interface of this machine",
                                             detail::escape_controls(zone), shown)};
        }
    }
    const auto result = from_packed({bytes.data(), 16}, scope);
    if (result.scope() == 0) {
        throw InvalidAddress{
            fmt::format("'{}': only a link-local address (fe80::/10) has a scope", shown)};
    }
    return result;
}

inline std::string Address::text() const {
    std::array<char, INET6_ADDRSTRLEN> buffer{};
    inet_ntop(static_cast<int>(family_), bytes_.data(), buffer.data(), buffer.size());
    if (scope_ == 0) {
        return buffer.data();
    }
    std::array<char, IF_NAMESIZE> name{};
    if (if_indextoname(scope_, name.data()) == nullptr) {
        return fmt::format("{}%{}", buffer.data(), scope_);
    }
    return fmt::format("{}%{}", buffer.data(), name.data());
}

namespace detail {

/// An endpoint in the form in which the socket calls take it.
class SocketAddress {
public:
    /// Empty, for a call to fill in.
    SocketAddress() = default;

    explicit SocketAddress(const Endpoint& endpoint) {
        const auto packed = endpoint.address.packed();
        if (endpoint.address.family() == Family::ipv4) {
            sockaddr_in in{};
            in.sin_family = AF_INET;
            in.sin_port = htons(endpoint.port);
            std::memcpy(&in.sin_addr, packed.data(), packed.size());
            std::memcpy(&storage_, &in, sizeof in);
            length_ = sizeof in;
        } else {
            sockaddr_in6 in6{};
            in6.sin6_family = AF_INET6;
            in6.sin6_port = htons(endpoint.port);
            in6.sin6_scope_id = endpoint.address.scope();
            std::memcpy(&in6.sin6_addr, packed.data(), packed.size());
            std::memcpy(&storage_, &in6, sizeof in6);
            length_ = sizeof in6;
        }
    }

    [[nodiscard]] sockaddr* data() noexcept {
        return reinterpret_cast<sockaddr*>(&storage_); // NOLINT(*-reinterpret-cast): the API's
    }
    [[nodiscard]] socklen_t* length() noexcept { return &length_; }

    /// Throws UnsupportedAddressFamily.
    [[nodiscard]] Endpoint endpoint() const {
        sockaddr_in6 in6{};
        // sin_port and sin6_port stand at the same offset.
        static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
        std::memcpy(&in6, &storage_, sizeof in6);
        return {Address::from_sockaddr(reinterpret_cast<const sockaddr&>(storage_)), // NOLINT
                ntohs(in6.sin6_port)};
    }

private:
    sockaddr_storage storage_{};
    socklen_t length_ = sizeof(sockaddr_storage);
};

} // namespace detail

} // namespace test_tunnel

namespace test_tunnel::detail {

/// Formats by `text()`. By hand, since <fmt/format.h> doubles the time that a test takes to
/// compile.
template <typename T>
struct TextFormatter {
    constexpr auto parse(fmt::format_parse_context& context) const { return context.begin(); }

    template <typename Context>
    auto format(const T& value, Context& context) const {
        const auto text = value.text();
        return std::copy(text.begin(), text.end(), context.out());
    }
};

} // namespace test_tunnel::detail

namespace fmt {

/// "{}" gives `Address::text`.
template <>
struct formatter<test_tunnel::Address> : test_tunnel::detail::TextFormatter<test_tunnel::Address> {
};

/// "{}" gives `Endpoint::text`.
template <>
struct formatter<test_tunnel::Endpoint>
    : test_tunnel::detail::TextFormatter<test_tunnel::Endpoint> {};

} // namespace fmt
