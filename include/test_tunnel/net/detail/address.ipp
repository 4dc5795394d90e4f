#pragma once

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE Address Address::from_packed(std::string_view bytes, std::uint32_t scope) {
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

TEST_TUNNEL_INLINE Address Address::from_sockaddr(const sockaddr& address) {
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

TEST_TUNNEL_INLINE Address Address::parse(std::string_view text) {
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

TEST_TUNNEL_INLINE std::string Address::text() const {
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

} // namespace test_tunnel
