#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "test_tunnel/handshakes/asked.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/handshakes/socks5.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// Does a SOCKS5 server's part of the handshake (RFC 1928, 1929): reads what a client asks for,
/// which must be CONNECT to `target`, by its address or by one of `options.names`, and grants it.
/// Each piece is read as long as the server's own timeout lets it, and no byte beyond:
///
///     const auto asked = socks5_accept(server, svc_listen.listen());
///     socks5_accept(server, svc_listen.listen(), {.user = "u", .password = "p"});
///
/// With a user, the client has to offer user and password, which are demanded; without one, it has
/// to offer "no authentication". What may be offered besides is passed over.
///
/// Throws Unexpected, with the bytes and the section, for whatever a client must not send, and for
/// another target, user or password: what is refused in due form (0xFF, a status, a reply code) is
/// answered so before.
template <SocketLike Server>
Asked socks5_accept(Server& server, const Endpoint& target, const AcceptOptions& options = {});

namespace detail {

/// Returns the reply to a request (RFC 1928 §6).
inline std::string socks5_reply(unsigned code, const Endpoint& bound) {
    std::string result{'\x05', static_cast<char>(code), '\0'};
    result += bound.address.family() == Family::ipv4 ? '\x01' : '\x04';
    result += bound.address.packed();
    return result + two_bytes(bound.port);
}

/// Returns one that names a host (RFC 1928 §5, §6), of 1 to 255 bytes.
inline std::string socks5_reply(unsigned code, std::string_view name, std::uint16_t port) {
    std::string result{'\x05', static_cast<char>(code), '\0', '\x03',
                       static_cast<char>(name.size())};
    return result.append(name) + two_bytes(port);
}

/// RFC 1928 §3
template <SocketLike Server>
void take_socks5_greeting(Server& server, bool by_password) {
    const char wanted = by_password ? '\x02' : '\x00';
    Reply greeting{server, "the method selection message (RFC 1928 §3)"};
    greeting.read_constant("\x05", "version 5");
    const std::size_t count = greeting.read_byte();
    if (count == 0) {
        greeting.reject(1, "at least 1 method");
    }
    if (greeting.read(count).find(wanted) == std::string_view::npos) {
        server.write(std::string_view{"\x05\xff"});
        greeting.reject(2, by_password ? "user and password (0x02) among the methods"
                                       : "no authentication (0x00) among the methods");
    }
    server.write(std::string{'\x05', wanted});
}

/// RFC 1929 §2
template <SocketLike Server>
std::string take_socks5_credentials(Server& server, const AcceptOptions& options) {
    using namespace std::string_view_literals;
    Reply request{server, "user and password (RFC 1929 §2)"};
    request.read_constant("\x01", "version 1");
    const auto read_text = [&](std::string_view what) {
        const std::size_t length = request.read_byte();
        if (length == 0) {
            request.reject(request.bytes().size() - 1, fmt::format("{} of at least 1 byte", what));
        }
        return std::string{request.read(length)};
    };
    auto user = read_text("a user");
    const auto password = read_text("a password");
    if (user != *options.user || password != options.password.value_or("")) {
        server.write("\x01\x01"sv);
        request.reject(user != *options.user ? 2 : 3 + user.size(),
                       "the user and the password that are declared");
    }
    server.write("\x01\0"sv);
    return user;
}

/// RFC 1928 §4, §5
template <SocketLike Server>
Asked take_socks5_request(Server& server, const Endpoint& target, const AcceptOptions& options) {
    constexpr unsigned not_allowed = 2;
    constexpr unsigned command_not_supported = 7;
    constexpr unsigned type_not_supported = 8;
    const Endpoint nowhere{Address::parse("0.0.0.0"), 0};
    Reply request{server, "the request (RFC 1928 §4)"};
    request.read_constant("\x05", "version 5");
    if (request.read_byte() != 1) {
        server.write(socks5_reply(command_not_supported, nowhere));
        request.reject(1, "CONNECT (0x01)");
    }
    request.read_constant(std::string_view{"\0", 1}, "0x00 as the reserved byte");
    Asked asked;
    switch (request.read_byte()) {
        case 0x01:
            asked.address = Address::from_packed(request.read(4));
            break;
        case 0x04:
            asked.address = Address::from_packed(request.read(16));
            break;
        case 0x03: {
            const std::size_t length = request.read_byte();
            if (length == 0) {
                request.reject(4, "a domain name of at least 1 byte (§5)");
            }
            asked.name = request.read(length);
            if (const auto nul = asked.name.find('\0'); nul != std::string::npos) {
                request.reject(5 + nul, "a domain name without a NUL (§5)");
            }
            asked.address = address_of_text(asked.name);
            break;
        }
        default:
            server.write(socks5_reply(type_not_supported, nowhere));
            request.reject(3, "an address type of 0x01, 0x03 or 0x04");
    }
    asked.port = number_at(request.read(2), 0);
    if (!is_target(asked, target, options)) {
        server.write(socks5_reply(not_allowed, nowhere));
        reject_target(request, 3, asked, target, options);
    }
    return asked;
}

/// All but the last reply.
template <SocketLike Server>
Asked read_socks5(Server& server, const Endpoint& target, const AcceptOptions& options) {
    std::optional<std::string> user;
    take_socks5_greeting(server, options.user.has_value());
    if (options.user) {
        user = take_socks5_credentials(server, options);
    }
    auto asked = take_socks5_request(server, target, options);
    asked.user = user;
    return asked;
}

} // namespace detail

template <SocketLike Server>
Asked socks5_accept(Server& server, const Endpoint& target, const AcceptOptions& options) {
    auto asked = detail::read_socks5(server, target, options);
    server.write(detail::socks5_reply(0, options.bound.value_or(target)));
    return asked;
}

} // namespace test_tunnel
