#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "test_tunnel/handshakes/asked.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/handshakes/http_connect.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// Does an HTTP proxy's part of CONNECT (RFC 9110 §9.3.6): reads what a client asks for, which must
/// be `target`, by its address or by one of `options.names`, and grants it. Each piece is read as
/// long as the server's own timeout lets it, and no byte beyond the request's header:
///
///     const auto asked = http_accept(server, svc_listen.listen());
///     http_accept(server, svc_listen.listen(), {.user = "u", .password = "p"});
///
/// With a user, the client must authenticate by Basic (RFC 7617): one that does not is told so by a
/// 407, once, and must then on the same connection.
///
/// Throws Unexpected, with the bytes and the section, for whatever RFC 9112 forbids a client to
/// send: an IPv6 address without brackets (RFC 3986 §3.2.2), a target without a port, an HTTP/1.1
/// request without Host (RFC 9112 §3.2). And for another target, user or password, and credentials
/// where none are declared. What has a form that can be answered is answered before: by 400, 403 or
/// 407.
template <SocketLike Server>
Asked http_accept(Server& server, const Endpoint& target, const AcceptOptions& options = {});

namespace detail {

/// What a client has asked a proxy for, as far as it is known.
struct HttpAsked {
    Asked asked;
    /// What it authenticates by: "Basic dXNlcjpwYXNz"; nothing where it does not.
    std::optional<std::string> credentials;
};

/// Answers what a client must not send, and throws Unexpected.
template <SocketLike Server>
[[noreturn]] void reject_http(Server& server, const Reply<Server>& request, std::size_t offset,
                              std::string_view expected,
                              std::string_view status = "400 Bad Request") {
    server.write(
        fmt::format("HTTP/1.1 {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status));
    request.reject(offset, expected);
}

/// Returns host and port of a request's target, which stands at `offset` (RFC 9112 §3.2.3).
template <SocketLike Server>
Asked parse_http_authority(Server& server, const Reply<Server>& request, std::string_view text,
                           std::size_t offset) {
    const auto colon = text.rfind(':');
    const auto digits =
        colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
    Asked result;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), result.port);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size()) {
        reject_http(server, request, offset,
                    "a target such as '192.0.2.1:443' (RFC 9112 §3.2.3), with its port");
    }
    auto host = std::string{text.substr(0, colon)};
    const bool is_bracketed = host.starts_with('[') && host.ends_with(']');
    if (is_bracketed) {
        host = host.substr(1, host.size() - 2);
    }
    result.address = address_of_text(host);
    const bool is_ipv6 = result.address && result.address->family() == Family::ipv6;
    if (is_ipv6 != is_bracketed || (!is_bracketed && host.find(':') != std::string::npos)) {
        reject_http(server, request, offset,
                    "an IPv6 address in brackets, and nothing else in them (RFC 3986 §3.2.2)");
    }
    if (host.empty()) {
        reject_http(server, request, offset, "a target with a host (RFC 9112 §3.2.3)");
    }
    if (!result.address) {
        result.name = std::move(host);
    }
    return result;
}

/// Reads one request, and judges its form.
template <SocketLike Server>
HttpAsked read_http_connect(Server& server, Reply<Server>& request) {
    constexpr std::string_view method = "CONNECT ";
    constexpr std::string_view layout = " HTTP/1.x";
    const auto start = request.bytes().size();
    request.read_constant(method, "'CONNECT ' (RFC 9110 §9.3.6)");
    read_http_lines(request, start);
    const auto bytes = std::string_view{request.bytes()};
    const auto line = bytes.substr(start, bytes.find("\r\n", start) - start);
    const auto space = line.find(' ', method.size());
    const auto version = space == std::string_view::npos ? std::string_view{} : line.substr(space);
    if (version.size() != layout.size() || !version.starts_with(" HTTP/1.") ||
        (version.back() != '0' && version.back() != '1')) {
        reject_http(server, request, start,
                    "a request line such as 'CONNECT 192.0.2.1:443 HTTP/1.1' (RFC 9112 §3)");
    }
    const auto authority = line.substr(method.size(), space - method.size());
    HttpAsked result{parse_http_authority(server, request, authority, start + method.size()),
                     std::nullopt};
    result.asked.version = version.back() == '0' ? HttpVersion::http_1_0 : HttpVersion::http_1_1;
    int hosts = 0;
    visit_http_fields(request, start,
                      [&](std::string_view name, std::string_view value, std::size_t offset) {
                          if (is_same_token(name, "host")) {
                              ++hosts;
                              if (!is_same_token(value, authority)) {
                                  result.asked.other_host = value;
                              }
                          } else if (is_same_token(name, "proxy-authorization")) {
                              if (result.credentials) {
                                  reject_http(server, request, offset,
                                              "Proxy-Authorization once (RFC 9110 §11.7.2, §5.3)");
                              }
                              result.credentials = value;
                          }
                      });
    if (hosts > 1 || (hosts == 0 && version.back() == '1')) {
        reject_http(server, request, start, "Host, once, in HTTP/1.1 (RFC 9112 §3.2)");
    }
    return result;
}

/// Whether these are the credentials that are declared: the scheme in any case, and any number of
/// spaces behind it (RFC 9110 §11.4).
inline bool is_right(std::string_view credentials, const AcceptOptions& options) {
    constexpr std::string_view scheme = "basic";
    if (!is_same_token(credentials.substr(0, scheme.size()), scheme)) {
        return false;
    }
    credentials.remove_prefix(scheme.size());
    const auto token = credentials.find_first_not_of(' ');
    return token != std::string_view::npos && token > 0 &&
           credentials.substr(token) ==
               base64(fmt::format("{}:{}", *options.user, options.password.value_or("")));
}

/// Returns the answer that demands a user, with a content of which `fields` says how long it is.
inline std::string http_challenge(std::string_view fields, std::string_view content) {
    return fmt::format(
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic "
        "realm=\"test\"\r\n{}\r\n\r\n{}",
        fields, content);
}

/// Returns one with a content of so many bytes.
inline std::string http_challenge(std::size_t size = 0) {
    return http_challenge(fmt::format("Content-Length: {}", size), std::string(size, '.'));
}

inline constexpr std::string_view http_success = "HTTP/1.1 200 Connection established\r\n\r\n";

/// All but the last answer. Who brings no credentials is challenged, once: by `challenge` in
/// HTTP/1.1.
template <SocketLike Server>
Asked read_http(Server& server, const Endpoint& target, const AcceptOptions& options,
                const std::string& challenge = http_challenge()) {
    Reply request{server, "the request (RFC 9112 §3)"};
    auto [asked, credentials] = read_http_connect(server, request);
    if (options.user && !credentials) {
        server.write(asked.version == HttpVersion::http_1_0 ? http_challenge() : challenge);
        auto again = read_http_connect(server, request);
        asked = std::move(again.asked);
        credentials = std::move(again.credentials);
    }
    if (!is_target(asked, target, options)) {
        server.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        reject_target(request, std::string_view{"CONNECT "}.size(), asked, target, options);
    }
    if (options.user ? !credentials || !is_right(*credentials, options) : credentials.has_value()) {
        reject_http(server, request, request.bytes().size(),
                    options.user ? "Basic, with the user and the password that are declared "
                                   "(RFC 7617 §2)"
                                 : "no Proxy-Authorization, since no user is declared",
                    "403 Forbidden");
    }
    asked.user = options.user;
    return asked;
}

} // namespace detail

template <SocketLike Server>
Asked http_accept(Server& server, const Endpoint& target, const AcceptOptions& options) {
    auto asked = detail::read_http(server, target, options);
    server.write(detail::http_success);
    return asked;
}

} // namespace test_tunnel
