#pragma once

#include <optional>
#include <string>
#include <variant>

#include "address.hpp"
#include "handshakes/http_connect.hpp"
#include "handshakes/socks4.hpp"
#include "handshakes/socks5.hpp"

namespace test_tunnel {

/// By which of the library's handshakes a tool is told where to connect, and how; std::monostate:
/// by none of them.
using Protocol = std::variant<std::monostate, Socks5Options, Socks4Options, HttpConnectOptions>;

/// Does the client's part of it: `socks5_connect`, `socks4_connect`, `http_connect`, or nothing.
template <SocketLike Client>
std::optional<Endpoint> shake_hands(Client& client, const Endpoint& target,
                                    const Protocol& protocol) {
    if (const auto* socks5 = std::get_if<Socks5Options>(&protocol)) {
        return socks5_connect(client, target, *socks5);
    }
    if (const auto* socks4 = std::get_if<Socks4Options>(&protocol)) {
        return socks4_connect(client, target, *socks4);
    }
    if (const auto* http = std::get_if<HttpConnectOptions>(&protocol)) {
        return http_connect(client, target, *http);
    }
    return std::nullopt;
}

namespace detail {

/// The same protocol, asking by `name`.
inline Protocol with_name(Protocol protocol, const std::string& name) {
    std::visit(
        [&](auto& options) {
            if constexpr (requires { options.name; }) {
                options.name = name;
            }
        },
        protocol);
    return protocol;
}

} // namespace detail

} // namespace test_tunnel
