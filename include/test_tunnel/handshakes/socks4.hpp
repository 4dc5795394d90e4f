#pragma once

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

/// How `socks4_connect` asks. By default: by address (SOCKS4), with an empty user id.
struct Socks4Options {
    /// Asks for this name, of 1 to 255 bytes, in place of the target's address (SOCKS4A): the tool
    /// resolves it. Its port stays the target's.
    std::optional<std::string> name = {};
    /// The user id, of at most 255 bytes.
    std::string user = {};
};

/// Asks a SOCKS4 or SOCKS4A server to connect to `target` (CONNECT, §1 of SOCKS4.protocol, and
/// SOCKS4A; neither is an RFC), and waits for its reply as long as the client's own timeout lets
/// it:
///
///     return socks4_connect(client, svc_listen.listen());
///     return socks4_connect(client, svc_listen.listen(), {.name = "localhost", .user = "u"});
///
/// When it returns, the next byte belongs to the target. Returns the endpoint in the reply as it
/// was sent. The protocol gives it no meaning after CONNECT: servers put there where they connect
/// from, nothing (0.0.0.0:0), or what they were asked for; a test of one of the last kind returns
/// `std::nullopt` instead.
///
/// Throws HandshakeRefused for the codes 91 to 93; Unexpected for everything else that is no
/// success, with the bytes; InvalidConfig, before anything is sent, for a name or a user that can't
/// be, and for an IPv6 target without a name.
template <SocketLike Client>
std::optional<Endpoint> socks4_connect(Client& client, const Endpoint& target,
                                       const Socks4Options& options = {});

namespace detail {

/// Returns what a code of a reply means; empty for a code without a meaning.
constexpr std::string_view socks4_reply_text(unsigned code) {
    switch (code) {
        case 90:
            return "request granted";
        case 91:
            return "request rejected or failed";
        case 92:
            return "request rejected because SOCKS server cannot connect to identd on the client";
        case 93:
            return "request rejected because the client program and identd report different "
                   "user-ids";
        default:
            return {};
    }
}

inline void require_no_nul(std::string_view value, std::string_view name) {
    if (value.find('\0') != std::string_view::npos) {
        throw InvalidConfig{fmt::format("{} contains a NUL, which would end it", name)};
    }
}

/// Both SOCKS4's, and SOCKS4A's where there is a name.
inline std::string socks4_request(const Endpoint& target, const Socks4Options& options) {
    using namespace std::string_view_literals;
    // 0.0.0.x, x not 0, says that a name follows.
    constexpr auto name_follows = "\0\0\0\1"sv;
    const auto packed = options.name ? name_follows : target.address.packed();
    require_length(options.user, 0, "the SOCKS4 user", "SOCKS4 §1");
    if (options.name) {
        require_length(*options.name, 1, "the SOCKS4 name", "SOCKS4A");
    } else if (target.address.family() != Family::ipv4) {
        throw InvalidConfig{fmt::format(
            "SOCKS4 has no IPv6 addresses, such as {}: give a name (SOCKS4A)", target.address)};
    } else if (packed.starts_with("\0\0\0"sv) && !target.address.is_unspecified()) {
        throw InvalidConfig{
            fmt::format("SOCKS4 can't ask for {}: it would mean that a name follows (SOCKS4A)",
                        target.address)};
    }
    require_no_nul(options.user, "the SOCKS4 user");
    if (options.name) {
        require_no_nul(*options.name, "the SOCKS4 name");
    }
    auto result = "\x04\x01" + two_bytes(target.port); // version 4, CONNECT
    result += packed;
    result += options.user;
    result += '\0';
    if (options.name) {
        result += *options.name;
        result += '\0';
    }
    return result;
}

template <SocketLike Client>
std::optional<Endpoint> read_socks4_reply(Client& client) {
    constexpr unsigned granted = 90;
    constexpr unsigned rejected = 91;
    Reply reply{client, "the reply to CONNECT (SOCKS4 §1)"};
    reply.read_constant(std::string_view{"\0", 1}, "version 0");
    const unsigned code = reply.read_byte();
    const auto text = socks4_reply_text(code);
    if (text.empty()) {
        reply.reject(1, "a reply code from 90 to 93");
    }
    const auto port = number_at(reply.read(2), 0);
    const auto address = Address::from_packed(reply.read(4));
    if (code != granted) {
        throw HandshakeRefused{
            code == rejected ? RefusedStep::connect : RefusedStep::authentication,
            static_cast<int>(code), "'request granted' (90) in " + reply.name(),
            fmt::format("'{}' ({}): {}", text, code, bytes_around(reply.bytes(), 1))};
    }
    return Endpoint{address, port};
}

} // namespace detail

template <SocketLike Client>
std::optional<Endpoint> socks4_connect(Client& client, const Endpoint& target,
                                       const Socks4Options& options) {
    client.write(detail::socks4_request(target, options));
    return detail::read_socks4_reply(client);
}

} // namespace test_tunnel
