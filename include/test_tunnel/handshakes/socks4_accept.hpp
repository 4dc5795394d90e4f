#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "test_tunnel/handshakes/asked.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/handshakes/socks4.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// Does a SOCKS4 server's part of the handshake: reads what a client asks for, which must be
/// CONNECT to `target`, by its address (§1 of SOCKS4.protocol) or by one of `options.names`
/// (SOCKS4A), and grants it. Each piece is read as long as the server's own timeout lets it, and no
/// byte beyond:
///
///     const auto asked = socks4_accept(server, svc_listen.listen());
///
/// Where `options.user` is given, it must be the user id; there is no password.
///
/// Throws Unexpected, with the bytes and the section, for whatever a client must not send, and for
/// another target or user, which are told that they are rejected before.
template <SocketLike Server>
Asked socks4_accept(Server& server, const Endpoint& target, const AcceptOptions& options = {});

namespace detail {

/// Returns the reply to a request (SOCKS4 §1). The address is 0.0.0.0 for an endpoint of IPv6,
/// which it can't tell.
inline std::string socks4_reply(unsigned code, const Endpoint& bound) {
    const bool is_ipv4 = bound.address.family() == Family::ipv4;
    return std::string{'\0', static_cast<char>(code)} + two_bytes(is_ipv4 ? bound.port : 0U) +
           (is_ipv4 ? std::string{bound.address.packed()} : std::string(4, '\0'));
}

/// Reads a text up to the NUL that ends it, of at most 255 bytes.
template <SocketLike Source>
std::string read_socks4_text(Reply<Source>& request, std::string_view what) {
    constexpr std::size_t longest = 255;
    std::string text;
    for (;;) {
        const auto byte = static_cast<char>(request.read_byte());
        if (byte == '\0') {
            return text;
        }
        text += byte;
        if (text.size() > longest) {
            request.reject(request.bytes().size() - 1,
                           fmt::format("a NUL after {} of at most {} bytes", what, longest));
        }
    }
}

/// All but the reply.
template <SocketLike Server>
Asked read_socks4(Server& server, const Endpoint& target, const AcceptOptions& options) {
    constexpr unsigned rejected = 91;
    constexpr unsigned wrong_user = 93;
    const Endpoint nowhere{Address::parse("0.0.0.0"), 0};
    Reply request{server, "the request (SOCKS4 §1)"};
    request.read_constant("\x04", "version 4");
    if (request.read_byte() != 1) {
        server.write(socks4_reply(rejected, nowhere));
        request.reject(1, "CONNECT (1)");
    }
    Asked asked;
    asked.port = number_at(request.read(2), 0);
    const std::string packed{request.read(4)};
    // 0.0.0.x, x not 0, says that a name follows (SOCKS4A).
    const bool has_name = packed.starts_with(std::string_view{"\0\0\0", 3}) && packed[3] != '\0';
    asked.user = read_socks4_text(request, "a user id");
    if (has_name) {
        asked.name = read_socks4_text(request, "a name (SOCKS4A)");
        if (asked.name.empty()) {
            request.reject(request.bytes().size() - 1, "a name of at least 1 byte (SOCKS4A)");
        }
        asked.address = address_of_text(asked.name);
    } else {
        asked.address = Address::from_packed(packed);
    }
    if (options.user && asked.user != options.user) {
        server.write(socks4_reply(wrong_user, nowhere));
        request.reject(8, "the user id that is declared");
    }
    if (!is_target(asked, target, options)) {
        server.write(socks4_reply(rejected, nowhere));
        reject_target(request, 2, asked, target, options);
    }
    return asked;
}

} // namespace detail

template <SocketLike Server>
Asked socks4_accept(Server& server, const Endpoint& target, const AcceptOptions& options) {
    constexpr unsigned granted = 90;
    auto asked = detail::read_socks4(server, target, options);
    server.write(detail::socks4_reply(granted, options.bound.value_or(target)));
    return asked;
}

} // namespace test_tunnel
