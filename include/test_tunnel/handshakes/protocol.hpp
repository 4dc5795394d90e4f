#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "test_tunnel/handshakes/asked.hpp"
#include "test_tunnel/handshakes/http_accept.hpp"
#include "test_tunnel/handshakes/http_connect.hpp"
#include "test_tunnel/handshakes/socks4.hpp"
#include "test_tunnel/handshakes/socks4_accept.hpp"
#include "test_tunnel/handshakes/socks5.hpp"
#include "test_tunnel/handshakes/socks5_accept.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// The handshake by which a tool is told where to connect, with its options; std::monostate where
/// it is told by none of the library's.
using Protocol = std::variant<std::monostate, Socks5Options, Socks4Options, HttpConnectOptions>;

/// Does the client's part of the handshake: `socks5_connect`, `socks4_connect`, `http_connect`, or
/// nothing. Returns the endpoint from which the tool says that it connects, if it says so: what a
/// reply of SOCKS4 has there means nothing. Throws as they do.
template <SocketLike Client>
std::optional<Endpoint> shake_hands(Client& client, const Endpoint& target,
                                    const Protocol& protocol) {
    if (const auto* socks5 = std::get_if<Socks5Options>(&protocol)) {
        return socks5_connect(client, target, *socks5);
    }
    if (const auto* socks4 = std::get_if<Socks4Options>(&protocol)) {
        static_cast<void>(socks4_connect(client, target, *socks4));
        return std::nullopt;
    }
    if (const auto* http = std::get_if<HttpConnectOptions>(&protocol)) {
        return http_connect(client, target, *http);
    }
    return std::nullopt;
}

/// Does the server's part of the handshake: `socks5_accept`, `socks4_accept`, `http_accept`, or
/// nothing. A client must come with the user and the password that `protocol` has; `names` are
/// those that stand for the target. Throws as they do.
template <SocketLike Server>
Asked accept_handshake(Server& server, const Endpoint& target, const Protocol& protocol,
                       const std::vector<std::string>& names = {});

namespace detail {

/// Returns what the server's end demands of a client that is to come as `protocol` has it.
inline AcceptOptions accept_options(const Protocol& protocol, std::vector<std::string> names) {
    AcceptOptions result{.names = std::move(names)};
    if (const auto* socks5 = std::get_if<Socks5Options>(&protocol)) {
        result.user = socks5->user;
        result.password = socks5->password;
    } else if (const auto* http = std::get_if<HttpConnectOptions>(&protocol)) {
        result.user = http->user;
        result.password = http->password;
    } else if (const auto* socks4 = std::get_if<Socks4Options>(&protocol)) {
        result.user = socks4->user.empty() ? std::nullopt : std::optional{socks4->user};
    }
    return result;
}

/// Does all of the server's part but the last reply, which grants or refuses what was asked.
template <SocketLike Server>
Asked read_asked(Server& server, const Endpoint& target, const Protocol& protocol,
                 const std::vector<std::string>& names) {
    const auto options = accept_options(protocol, names);
    if (std::holds_alternative<Socks5Options>(protocol)) {
        return read_socks5(server, target, options);
    }
    if (std::holds_alternative<Socks4Options>(protocol)) {
        return read_socks4(server, target, options);
    }
    if (std::holds_alternative<HttpConnectOptions>(protocol)) {
        return read_http(server, target, options);
    }
    return {};
}

/// Returns the reply that grants what was asked; empty where there is no protocol.
inline std::string granting_reply(const Endpoint& bound, const Protocol& protocol) {
    constexpr unsigned socks4_granted = 90;
    if (std::holds_alternative<Socks5Options>(protocol)) {
        return socks5_reply(0, bound);
    }
    if (std::holds_alternative<Socks4Options>(protocol)) {
        return socks4_reply(socks4_granted, bound);
    }
    return std::holds_alternative<HttpConnectOptions>(protocol) ? std::string{http_success} : "";
}

/// Returns the same protocol, which asks by `name`.
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

template <SocketLike Server>
Asked accept_handshake(Server& server, const Endpoint& target, const Protocol& protocol,
                       const std::vector<std::string>& names) {
    auto asked = detail::read_asked(server, target, protocol, names);
    if (const auto reply = detail::granting_reply(target, protocol); !reply.empty()) {
        server.write(reply);
    }
    return asked;
}

} // namespace test_tunnel
