#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/handshakes/handshake_refused.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// How `socks5_connect` asks. By default: by address, without authentication.
struct Socks5Options {
    /// Asks for this name, of 1 to 255 bytes, in place of the target's address: the tool resolves
    /// it. Its port stays the target's.
    std::optional<std::string> name = {};
    /// Authenticates by user and password (RFC 1929) as this user, of 1 to 255 bytes; with
    /// `password` only.
    std::optional<std::string> user = {};
    /// The password of `user`, of 1 to 255 bytes; with `user` only.
    std::optional<std::string> password = {};
    /// Offers "no authentication" beside user and password, and leaves the choice to the tool.
    bool offer_no_authentication = false;
};

/// Asks a SOCKS5 server to connect to `target` (CONNECT, RFC 1928), and waits for its replies, each
/// read as long as the client's own timeout lets it:
///
///     return socks5_connect(client, svc_listen.listen());
///     return socks5_connect(client, svc_listen.listen(), {.user = "u", .password = "p"});
///     return socks5_connect(client, svc_listen.listen(), {.name = "localhost"});
///
/// When it returns, the next byte belongs to the target. Returns the endpoint from which the server
/// says that it connects onwards: as it was sent, which is 0.0.0.0:0 or [::]:0 where it does not
/// tell; nothing where it names itself by a domain name. The scope of a link-local address is not
/// carried in either direction.
///
/// Throws HandshakeRefused for what RFC 1928 and 1929 know as refusals; Unexpected for everything
/// else that is no success, a reply code without a meaning (§6) among it, with the bytes and the
/// section; InvalidConfig, before anything is sent, for a name, user or password that can't be.
template <SocketLike Client>
std::optional<Endpoint> socks5_connect(Client& client, const Endpoint& target,
                                       const Socks5Options& options = {});

namespace detail {

/// "connection refused by destination host"; nothing for a code without a meaning (RFC 1928 §6).
constexpr std::string_view socks5_reply_text(unsigned code) {
    constexpr std::array<std::string_view, 9> texts{"succeeded",
                                                    "general SOCKS server failure",
                                                    "connection not allowed by ruleset",
                                                    "network unreachable",
                                                    "host unreachable",
                                                    "connection refused by destination host",
                                                    "TTL expired",
                                                    "command not supported",
                                                    "address type not supported"};
    return code < texts.size() ? texts.at(code) : std::string_view{};
}

/// RFC 1928 §3
inline std::string socks5_greeting(const Socks5Options& options) {
    using namespace std::string_literals;
    if (!options.user) {
        return "\x05\x01\x00"s;
    }
    return options.offer_no_authentication ? "\x05\x02\x00\x02"s : "\x05\x01\x02"s;
}

/// RFC 1929 §2; empty where there is no user.
inline std::string socks5_credentials(const Socks5Options& options) {
    if (!options.user && !options.password) {
        return {};
    }
    constexpr std::string_view section = "RFC 1929 §2";
    if (!options.user || !options.password) {
        throw InvalidConfig{fmt::format("SOCKS5 takes user and password or neither ({}), not {}",
                                        section,
                                        options.user ? "a user alone" : "a password alone")};
    }
    require_length(*options.user, 1, "the SOCKS5 user", section);
    require_length(*options.password, 1, "the SOCKS5 password", section);
    return fmt::format("\x01{}{}{}{}", static_cast<char>(options.user->size()), *options.user,
                       static_cast<char>(options.password->size()), *options.password);
}

/// Whom a request or a datagram is for: the type of address, the address or the name, and the port
/// (RFC 1928 §5).
inline std::string socks5_address(const Endpoint& target, const std::optional<std::string>& name) {
    std::string result;
    if (name) {
        require_length(*name, 1, "the SOCKS5 name", "RFC 1928 §5");
        result += '\x03';
        result += static_cast<char>(name->size());
        result += *name;
    } else {
        result += target.address.family() == Family::ipv4 ? '\x01' : '\x04';
        result += target.address.packed();
    }
    return result += two_bytes(target.port);
}

/// RFC 1928 §4
inline std::string socks5_request(const Endpoint& target, const Socks5Options& options) {
    using namespace std::string_literals;
    return "\x05\x01\x00"s + socks5_address(target, options.name); // version 5, CONNECT, reserved
}

/// Reads which method the server takes; says whether it is user and password (RFC 1928 §3).
template <SocketLike Client>
bool read_socks5_method(Client& client, const Socks5Options& options) {
    constexpr unsigned none = 0x00;
    constexpr unsigned by_password = 0x02;
    constexpr unsigned no_acceptable = 0xff;
    Reply reply{client, "the method selection (RFC 1928 §3)"};
    reply.read_constant("\x05", "version 5");
    const unsigned method = reply.read_byte();
    if (method == no_acceptable) {
        throw HandshakeRefused{RefusedStep::method, static_cast<int>(method),
                               "a method in " + reply.name(),
                               "'no acceptable methods' (0xff): " + bytes_around(reply.bytes(), 1)};
    }
    const bool offered = method == by_password ? options.user.has_value()
                         : method == none      ? !options.user || options.offer_no_authentication
                                               : false;
    if (!offered) {
        reply.reject(1, "a method that was offered");
    }
    return method == by_password;
}

/// RFC 1929 §2
template <SocketLike Client>
void read_socks5_authentication(Client& client) {
    Reply reply{client, "the reply to user and password (RFC 1929 §2)"};
    reply.read_constant("\x01", "version 1");
    const unsigned status = reply.read_byte();
    if (status != 0) {
        throw HandshakeRefused{
            RefusedStep::authentication, static_cast<int>(status),
            "success (0x00) in " + reply.name(),
            fmt::format("'failure' (0x{:02x}): {}", status, bytes_around(reply.bytes(), 1))};
    }
}

/// All that comes before the request. What can't be sent throws before anything is.
template <SocketLike Client>
void socks5_authenticate(Client& client, const Socks5Options& options) {
    const auto credentials = socks5_credentials(options);
    client.write(socks5_greeting(options));
    if (read_socks5_method(client, options)) {
        client.write(credentials);
        read_socks5_authentication(client);
    }
}

/// RFC 1928 §6; `name` is what is awaited.
template <SocketLike Client>
std::optional<Endpoint> read_socks5_reply(
    Client& client, const std::string& name = "the reply to CONNECT (RFC 1928 §6)") {
    Reply reply{client, name};
    reply.read_constant("\x05", "version 5");
    const unsigned code = reply.read_byte();
    const auto text = socks5_reply_text(code);
    if (text.empty()) {
        reply.reject(1, "a reply code from 0x00 to 0x08");
    }
    reply.read_constant(std::string_view{"\0", 1}, "0x00 as the reserved byte");
    std::optional<Address> address;
    switch (reply.read_byte()) {
        case 0x01:
            address = Address::from_packed(reply.read(4));
            break;
        case 0x04:
            address = Address::from_packed(reply.read(16));
            break;
        case 0x03: {
            const std::size_t length = reply.read_byte();
            if (length == 0) {
                reply.reject(4, "a domain name of at least 1 byte");
            }
            if (const auto nul = reply.read(length).find('\0'); nul != std::string_view::npos) {
                reply.reject(5 + nul, "a domain name without a NUL (§5)");
            }
            break;
        }
        default:
            reply.reject(3, "an address type of 0x01, 0x03 or 0x04");
    }
    const auto port = number_at(reply.read(2), 0);
    if (code != 0) {
        throw HandshakeRefused{
            RefusedStep::connect, static_cast<int>(code), "'succeeded' (0x00) in " + reply.name(),
            fmt::format("'{}' (0x{:02x}): {}", text, code, bytes_around(reply.bytes(), 1))};
    }
    return address ? std::optional{Endpoint{*address, port}} : std::nullopt;
}

} // namespace detail

template <SocketLike Client>
std::optional<Endpoint> socks5_connect(Client& client, const Endpoint& target,
                                       const Socks5Options& options) {
    const auto request = detail::socks5_request(target, options);
    detail::socks5_authenticate(client, options);
    client.write(request);
    return detail::read_socks5_reply(client);
}

} // namespace test_tunnel
