#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "test_tunnel/base/detail/number.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel::detail {

/// Reads "127.0.0.1:80" or "[::1]:80". Throws InvalidConfig.
inline Endpoint parse_endpoint(std::string_view text) {
    const auto colon = std::min(text.rfind(':'), text.size());
    auto address = text.substr(0, colon);
    if (address.starts_with('[') && address.ends_with(']')) {
        address = address.substr(1, address.size() - 2);
    }
    const auto port = read_number<std::uint16_t>(text.substr(std::min(colon + 1, text.size())));
    try {
        if (port && *port != 0) {
            return {Address::parse(address), *port};
        }
    } catch (const InvalidAddress&) { // told below
    }
    throw InvalidConfig{
        fmt::format("'{}' is no endpoint; 127.0.0.1:80 or [::1]:80 would be one", text)};
}

} // namespace test_tunnel::detail
