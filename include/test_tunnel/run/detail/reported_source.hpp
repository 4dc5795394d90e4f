#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "test_tunnel/config/traits.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel::detail {

/// Returns the bytes of an address. An IPv4 address that is written as IPv6 (::ffff:192.0.2.1, RFC
/// 4291 §2.5.5.2) has the four bytes of the IPv4 address.
inline std::string unmapped(const Address& address) {
    using namespace std::string_view_literals;
    const std::string bytes{address.packed()};
    constexpr auto prefix = "\0\0\0\0\0\0\0\0\0\0\xff\xff"sv;
    return bytes.starts_with(prefix) ? bytes.substr(prefix.size()) : bytes;
}

/// Returns which endpoint a tool has reported in its handshake: the tool connects from `source` to
/// `target`, and listens at `listen`. Returns nothing where it is none of them, and thus wrong.
inline std::optional<ReportsSource> reported_source(const Endpoint& reported,
                                                    const Endpoint& source, const Endpoint& target,
                                                    const Endpoint& listen) {
    // A port of 0 says that the port is not told. No protocol carries the scope of an address.
    const auto means = [&](const Endpoint& endpoint) {
        return unmapped(reported.address) == unmapped(endpoint.address) &&
               (reported.port == endpoint.port || reported.port == 0);
    };
    if (means(source)) {
        return ReportsSource::actual;
    }
    if ((reported.address.is_unspecified() || unmapped(reported.address) == std::string(4, '\0'))) {
        return ReportsSource::null;
    }
    if (means(target)) {
        return ReportsSource::destination;
    }
    if (means(listen)) {
        return ReportsSource::listener;
    }
    return std::nullopt;
}

} // namespace test_tunnel::detail
