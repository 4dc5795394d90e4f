#pragma once

#include "test_tunnel/base/error.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/handshakes/socks5.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// Asks a SOCKS5 server to let `peer` call this client (BIND, RFC 1928 §4), and waits for the first
/// of its two replies:
///
///     const Endpoint where = socks5_bind(client, peer);
///     // The peer is told, in whatever way, and connects there.
///     const Endpoint who = socks5_await_peer(client);
///
/// Returns where the server listens for the peer. Throws as `socks5_connect` does, and Unexpected
/// where the reply does not say it: a name, a null address or port 0 tell the peer nothing.
template <SocketLike Client>
Endpoint socks5_bind(Client& client, const Endpoint& peer, const Socks5Options& options = {});

/// Waits for the second reply to BIND, as long as the client's own timeout lets it, which comes
/// when the peer has connected: the next byte is the peer's. Returns who the peer is. Throws as
/// `socks5_bind` does.
template <SocketLike Client>
Endpoint socks5_await_peer(Client& client);

namespace detail {

/// Reads one of the replies to BIND, which must have an endpoint.
template <SocketLike Client>
Endpoint read_socks5_endpoint(Client& client, const std::string& name) {
    const auto endpoint = read_socks5_reply(client, name);
    if (!endpoint || endpoint->address.is_unspecified() || endpoint->port == 0) {
        throw Unexpected{"an address and a port in " + name,
                         endpoint ? endpoint->text() : "a domain name"};
    }
    return *endpoint;
}

} // namespace detail

template <SocketLike Client>
Endpoint socks5_bind(Client& client, const Endpoint& peer, const Socks5Options& options) {
    constexpr char bind = 2;
    const auto credentials = detail::socks5_credentials(options);
    auto request = detail::socks5_request(peer, options);
    request[1] = bind;
    client.write(detail::socks5_greeting(options));
    if (detail::read_socks5_method(client, options)) {
        client.write(credentials);
        detail::read_socks5_authentication(client);
    }
    client.write(request);
    return detail::read_socks5_endpoint(client, "the first reply to BIND (RFC 1928 §4)");
}

template <SocketLike Client>
Endpoint socks5_await_peer(Client& client) {
    return detail::read_socks5_endpoint(client, "the second reply to BIND (RFC 1928 §4)");
}

} // namespace test_tunnel
