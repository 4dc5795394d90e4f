#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"

namespace test_tunnel {

/// An address family; the values are the system's own (AF_INET, AF_INET6).
enum class Family : int { ipv4 = AF_INET, ipv6 = AF_INET6 };

/// Returns '4' or '6'. Throws UnsupportedAddressFamily for any other family.
constexpr char family_id(Family family) {
    switch (family) {
        case Family::ipv4:
            return '4';
        case Family::ipv6:
            return '6';
    }
    throw UnsupportedAddressFamily{static_cast<int>(family)};
}

/// Returns '4' or '6' for an AF_ constant. Throws UnsupportedAddressFamily for any other.
constexpr char family_id(int family) {
    return family_id(Family{family});
}

/// Returns the length of an address in bits: 32 or 128. Throws UnsupportedAddressFamily for any
/// other family.
constexpr int prefix_length(Family family) {
    return family_id(family) == '4' ? 32 : 128;
}

/// Returns the length of an address in bits for an AF_ constant. Throws UnsupportedAddressFamily
/// for any other than AF_INET and AF_INET6.
constexpr int prefix_length(int family) {
    return prefix_length(Family{family});
}

/// An IPv4 or IPv6 address, with its scope where it is a link-local one.
///
/// Ordered by family, then by its bytes, then by scope.
class Address {
public:
    /// Makes 0.0.0.0.
    Address() = default;

    /// Reads "192.0.2.1", "2001:db8::1" or "fe80::1%eth0" (the scope by name or by number).
    /// Throws InvalidAddress.
    static Address parse(std::string_view text);

    /// Makes an address from its 4 or 16 bytes in network order. Throws InvalidAddress for any
    /// other number of bytes; a scope is kept only where the address is a link-local one.
    static Address from_packed(std::string_view bytes, std::uint32_t scope = 0);

    /// Makes an address from what the socket calls return, without its port. Throws
    /// UnsupportedAddressFamily.
    static Address from_sockaddr(const sockaddr& address);

    /// Returns `Family::ipv4` or `Family::ipv6`, and nothing else.
    [[nodiscard]] Family family() const noexcept { return family_; }

    /// Returns the 4 or 16 bytes in network order, as a protocol carries them.
    [[nodiscard]] std::string_view packed() const noexcept {
        return {bytes_.data(), family_ == Family::ipv4 ? 4U : 16U};
    }

    /// Returns the index of the interface of a link-local IPv6 address, else 0.
    [[nodiscard]] std::uint32_t scope() const noexcept { return scope_; }

    /// Returns "192.0.2.1", "2001:db8::1", "fe80::1%eth0".
    [[nodiscard]] std::string text() const;

    /// Returns the address as a URL and most command lines want it: "192.0.2.1", "[2001:db8::1]".
    [[nodiscard]] std::string bracketed() const {
        return family_ == Family::ipv4 ? text() : fmt::format("[{}]", text());
    }

    /// Whether it is 0.0.0.0 or ::, which stand for all addresses of a machine.
    [[nodiscard]] bool is_unspecified() const noexcept {
        return packed().find_first_not_of('\0') == std::string_view::npos;
    }

    /// Whether it is one of 127.0.0.0/8, or ::1.
    [[nodiscard]] bool is_loopback() const noexcept {
        static constexpr std::string_view ipv6_loopback{"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16};
        return family_ == Family::ipv4 ? bytes_[0] == 127 : packed() == ipv6_loopback;
    }

    /// Whether it is one of fe80::/10.
    [[nodiscard]] bool is_link_local() const noexcept {
        return family_ == Family::ipv6 && bytes_[0] == '\xfe' && (bytes_[1] & '\xc0') == '\x80';
    }

    /// Addresses are equal where they have the same family, bytes and scope.
    friend bool operator==(const Address&, const Address&) = default;
    /// Addresses are ordered by family, IPv4 first, then by their bytes, then by scope.
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
    /// The address; by default 0.0.0.0.
    Address address;
    /// The port, in this machine's order of bytes. With 0, the system chooses one when a socket is
    /// bound to it.
    std::uint16_t port = 0;

    /// Returns "192.0.2.1:80", "[2001:db8::1]:80".
    [[nodiscard]] std::string text() const {
        return fmt::format("{}:{}", address.bracketed(), port);
    }

    /// Endpoints are equal where they have the same address, scope and port.
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
    /// Endpoints are ordered by address, then by port.
    friend std::strong_ordering operator<=>(const Endpoint&, const Endpoint&) = default;
};

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

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/net/detail/address.ipp" // IWYU pragma: export
#endif
