#pragma once

// Headers of the PROXY protocol as no proxy of this library would write them: with values behind
// the addresses, and with whatever bytes a test wants.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/handshakes/proxy_protocol.hpp"

namespace test_tunnel::detail {

/// How many bytes of version 2's header come before the addresses.
inline constexpr std::size_t proxy_v2_fixed = 16;

/// Returns a header of version 2 with these bytes behind its signature, and its length (§2.2).
inline std::string proxy_v2_bytes(unsigned version_and_command, unsigned family,
                                  std::string_view rest) {
    std::string result{proxy_signature};
    result += static_cast<char>(version_and_command);
    result += static_cast<char>(family);
    result += two_bytes(rest.size());
    return result += rest;
}

/// Returns one type-length-value (§2.2).
inline std::string proxy_value(unsigned type, std::string_view value) {
    std::string result(1, static_cast<char>(type));
    result += two_bytes(value.size());
    return result += value;
}

/// Returns a header of version 2 with `values` behind what it has, and its length put right.
inline std::string with_proxy_values(std::string header, std::string_view values) {
    header += values;
    return header.replace(proxy_v2_fixed - 2, 2, two_bytes(header.size() - proxy_v2_fixed));
}

/// Returns a header of version 2 with its checksum (§2.2.3) behind what it has; with one bit of the
/// checksum `flipped`, it is a wrong one.
inline std::string with_proxy_checksum(std::string header, std::uint32_t flipped = 0) {
    constexpr unsigned type = 0x03;
    constexpr unsigned half = 16;
    header = with_proxy_values(std::move(header), proxy_value(type, std::string(4, '\0')));
    const auto sum = crc32c(header) ^ flipped;
    return header.replace(header.size() - 4, 4, two_bytes(sum >> half) + two_bytes(sum & 0xffffU));
}

} // namespace test_tunnel::detail
