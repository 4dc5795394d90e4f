#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/handshakes/http_connect.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// What a client of a proxy has asked for: what `socks5_accept`, `socks4_accept` and `http_accept`
/// return.
struct Asked {
    /// The address that it gave; nothing where it gave a name.
    std::optional<Address> address = {};
    /// The name that it gave; empty where it gave an address. Both are there where it gave an
    /// address in the place of a name, as text.
    std::string name = {};
    /// The port that it gave.
    std::uint16_t port = 0;
    /// The user as whom it came: SOCKS4's user id, which every client has; nothing where it named
    /// none.
    std::optional<std::string> user = {};
    /// What it sent as Host in HTTP, where that is not what it asked for, as it has to be (RFC 9110
    /// §7.2). A proxy has no use for it.
    std::optional<std::string> other_host = {};
    /// In which version of HTTP it asked; nothing in SOCKS.
    std::optional<HttpVersion> version = {};

    /// Returns host:port.
    [[nodiscard]] std::string text() const {
        return address ? Endpoint{*address, port}.text()
                       : fmt::format("{}:{}", detail::escape_controls(name), port);
    }
};

/// What the server's end of a handshake demands of a client.
struct AcceptOptions {
    /// The names that stand for the target: it may be asked for by one of them, in upper or lower
    /// case, in place of its address.
    std::vector<std::string> names = {};
    /// The user as whom a client has to come; with `password` only, but in SOCKS4, which has none.
    /// Nothing: it has to come without one, or in SOCKS4 with any.
    std::optional<std::string> user = {};
    /// The password of `user`.
    std::optional<std::string> password = {};
    /// From where the client is told that it is connected onwards. Nothing: the server's own end of
    /// this connection.
    std::optional<Endpoint> bound = {};
};

namespace detail {

/// Returns the address that a host is, written as text; nothing for a name.
inline std::optional<Address> address_of_text(const std::string& host) {
    try {
        return Address::parse(host);
    } catch (const Error&) {
        return std::nullopt;
    }
}

/// Whether it is the target that was asked for.
inline bool is_target(const Asked& asked, const Endpoint& target, const AcceptOptions& options) {
    if (asked.port != target.port) {
        return false;
    }
    if (asked.address) { // without scopes, which no protocol carries
        return asked.address->packed() == target.address.packed();
    }
    return std::any_of(options.names.begin(), options.names.end(),
                       [&](const std::string& name) { return is_same_token(name, asked.name); });
}

/// "the target 127.0.0.1:6376 or host.test:6376"
inline std::string wording_of_target(const Endpoint& target, const AcceptOptions& options) {
    auto text = fmt::format("the target {}", target);
    for (const auto& name : options.names) {
        constexpr std::size_t readable = 64; // the longest names say nothing to a reader
        if (name.size() > 1 && name.size() <= readable) {
            text += fmt::format(" or {}:{}", name, target.port);
        }
    }
    return text;
}

/// Throws Unexpected: a request was read to its end, and asks for another target, which it names at
/// `offset`.
template <SocketLike Source>
[[noreturn]] void reject_target(const Reply<Source>& request, std::size_t offset,
                                const Asked& asked, const Endpoint& target,
                                const AcceptOptions& options) {
    throw Unexpected{fmt::format("{} in {}", wording_of_target(target, options), request.name()),
                     fmt::format("{}: {}", asked.text(),
                                 bytes_around(request.bytes(), offset,
                                              fmt::format(", wrong at offset {}", offset)))};
}

} // namespace detail

} // namespace test_tunnel
