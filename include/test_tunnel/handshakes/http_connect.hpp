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
#include "test_tunnel/handshakes/handshake_refused.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel {

/// The version of HTTP in which a proxy is asked.
enum class HttpVersion { http_1_0, http_1_1 };

/// How `http_connect` asks. By default: by address, in HTTP/1.1, without authentication.
struct HttpConnectOptions {
    /// Asks for this name, of 1 to 255 bytes, in place of the target's address: the tool resolves
    /// it. Its port stays the target's.
    std::optional<std::string> name = {};
    /// Authenticates by Basic (RFC 7617) as this user, who may be empty, and can't have a colon;
    /// with `password` only.
    std::optional<std::string> user = {};
    /// The password of `user`, which may be empty; with `user` only.
    std::optional<std::string> password = {};
    /// The version of the request; an answer in any HTTP/1.x will do.
    HttpVersion version = HttpVersion::http_1_1;
    /// Further fields, sent after those that `http_connect` sends itself: Host and, where there is
    /// a user, Proxy-Authorization.
    std::vector<std::pair<std::string, std::string>> headers = {};
};

/// Asks an HTTP proxy to connect to `target` (RFC 9110 §9.3.6), and waits for its answer, each
/// piece of it as long as the client's own timeout lets it:
///
///     return http_connect(client, svc_listen.listen());
///     return http_connect(client, svc_listen.listen(), {.user = "u", .password = "p"});
///     return http_connect(client, svc_listen.listen(), {.version = HttpVersion::http_1_0});
///
/// Any 2xx is success. Its Content-Length and Transfer-Encoding are ignored, as §9.3.6 demands: the
/// next byte after the header belongs to the target. Interim answers (1xx, RFC 9110 §15.2) are
/// passed over. Returns nothing: HTTP does not tell from where the proxy connects onwards.
///
/// Throws HandshakeRefused for an answer of 3xx, 4xx or 5xx, once its header was read (its content
/// is left on the connection): 401 and 407 refuse the user, all others the connection. Throws
/// Unexpected for everything else that is no success, with the bytes and the section: all that RFC
/// 9112 forbids a sender, even where it lets a recipient put up with it (a line that ends in a bare
/// LF, a folded line); a 101, which nobody asked for; a 407 without Proxy-Authenticate; 64 KiB
/// without an end. Throws InvalidConfig, before anything is sent, for what can't stand in a
/// request.
template <SocketLike Client>
std::optional<Endpoint> http_connect(Client& client, const Endpoint& target,
                                     const HttpConnectOptions& options = {});

namespace detail {

constexpr bool is_control(char character) {
    const auto byte = static_cast<unsigned char>(character);
    return byte < 0x20 || byte == 0x7f;
}

constexpr bool is_digit(char character) {
    return character >= '0' && character <= '9';
}

constexpr bool is_alphanumeric(char character) {
    return is_digit(character) || (character >= 'a' && character <= 'z') ||
           (character >= 'A' && character <= 'Z');
}

/// Whether it is a token (RFC 9110 §5.6.2).
constexpr bool is_token(std::string_view text) {
    constexpr std::string_view others = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char character) {
        return is_alphanumeric(character) || others.find(character) != std::string_view::npos;
    });
}

/// Returns the bytes in base64, with padding (RFC 4648 §4).
inline std::string base64(std::string_view bytes) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string result;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const auto group = bytes.substr(i, 3);
        std::uint32_t bits = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            bits = bits << 8U | (k < group.size() ? byte_at(group, k) : 0U);
        }
        for (std::size_t k = 0; k < 4; ++k) {
            result += k <= group.size() ? digits[bits >> (18U - 6U * k) & 0x3fU] : '=';
        }
    }
    return result;
}

/// Returns host:port, as a request has it (RFC 9110 §7.2, RFC 3986 §3.2.2). Throws InvalidConfig.
inline std::string http_authority(const Endpoint& target, const HttpConnectOptions& options) {
    if (!options.name) {
        // Without its scope, which means nothing to anybody else.
        const auto plain = Address::from_packed(target.address.packed());
        return Endpoint{plain, target.port}.text();
    }
    require_length(*options.name, 1, "the HTTP name", "RFC 3986 §3.2.2");
    constexpr std::string_view others = "-._~%!$&'()*+,;=";
    for (const char character : *options.name) {
        if (!is_alphanumeric(character) && others.find(character) == std::string_view::npos) {
            throw InvalidConfig{fmt::format("the HTTP name '{}' is none (RFC 3986 §3.2.2)",
                                            escape_controls(*options.name))};
        }
    }
    return fmt::format("{}:{}", *options.name, target.port);
}

/// Returns the field that authenticates (RFC 7617 §2); empty where there is no user. Throws
/// InvalidConfig.
inline std::string http_authorization(const HttpConnectOptions& options) {
    if (!options.user && !options.password) {
        return {};
    }
    if (!options.user || !options.password) {
        throw InvalidConfig{fmt::format("HTTP takes user and password or neither, not {}",
                                        options.user ? "a user alone" : "a password alone")};
    }
    if (options.user->find(':') != std::string::npos) {
        throw InvalidConfig{"the HTTP user contains a colon, which would end it (RFC 7617 §2)"};
    }
    const auto credentials = fmt::format("{}:{}", *options.user, *options.password);
    if (std::any_of(credentials.begin(), credentials.end(), is_control)) {
        throw InvalidConfig{"the HTTP user or password contains a control character (RFC 7617 §2)"};
    }
    return fmt::format("Proxy-Authorization: Basic {}\r\n", base64(credentials));
}

inline std::string http_request(const Endpoint& target, const HttpConnectOptions& options) {
    const auto authority = http_authority(target, options);
    auto result =
        fmt::format("CONNECT {0} HTTP/1.{1}\r\nHost: {0}\r\n{2}", authority,
                    options.version == HttpVersion::http_1_0 ? 0 : 1, http_authorization(options));
    for (const auto& [name, value] : options.headers) {
        const bool is_value = std::none_of(value.begin(), value.end(), [](char character) {
            return is_control(character) && character != '\t';
        });
        if (!is_token(name) || !is_value) {
            throw InvalidConfig{fmt::format("'{}: {}' is no HTTP field (RFC 9110 §5)",
                                            escape_controls(name), escape_controls(value))};
        }
        result += fmt::format("{}: {}\r\n", name, value);
    }
    return result + "\r\n";
}

/// Reads the rest of a header that begins at `start`, up to the empty line, and not a byte further.
/// What no header can contain is noticed as it comes, so that nobody waits for more of it.
template <SocketLike Source>
void read_http_lines(Reply<Source>& reply, std::size_t start) {
    constexpr std::string_view end = "\r\n\r\n";
    constexpr std::size_t longest = std::size_t{64} * 1024;
    while (!reply.bytes().ends_with(end)) {
        const std::string& bytes = reply.bytes();
        std::size_t matched = end.size() - 1;
        while (!bytes.ends_with(end.substr(0, matched))) {
            --matched; // to 0 at last, which every text ends with
        }
        auto offset = bytes.size();
        if (offset >= longest) {
            reply.reject(offset, "an end within 64 KiB");
        }
        reply.read_up_to(end.size() - matched);
        for (; offset < bytes.size(); ++offset) {
            const char character = bytes[offset];
            const bool after_cr = offset > start && bytes[offset - 1] == '\r';
            if ((character == '\n') != after_cr) {
                reply.reject(after_cr ? offset - 1 : offset,
                             after_cr ? "CRLF, not a bare CR (RFC 9112 §2.2)"
                                      : "CRLF, not a bare LF (RFC 9112 §2.2)");
            }
            if (is_control(character) && character != '\t' && character != '\r' &&
                character != '\n') {
                reply.reject(offset, "no control character (RFC 9110 §5.5)");
            }
        }
    }
}

/// Reads the header of one answer, from the status line to the empty line.
template <SocketLike Source>
void read_http_header(Reply<Source>& reply) {
    const auto start = reply.bytes().size();
    reply.read_constant("HTTP/1.", "'HTTP/1.' (RFC 9112 §2.3)");
    read_http_lines(reply, start);
}

/// Returns the status code of the header that starts at `start` (RFC 9112 §4). Throws Unexpected.
template <SocketLike Source>
int parse_http_status(const Reply<Source>& reply, std::size_t start) {
    // The layout is "HTTP/1.1 200 OK"; the space after the code is there even where no text is.
    const auto line = std::string_view{reply.bytes()}.substr(start);
    constexpr std::string_view layout = "HTTP/1.d cdd ";
    for (std::size_t i = 0; i < layout.size(); ++i) {
        const char actual = line[i]; // a line end stops this, and is always there
        const bool fits = layout[i] == 'd'   ? is_digit(actual)
                          : layout[i] == 'c' ? actual >= '1' && actual <= '5'
                                             : actual == layout[i];
        if (!fits) {
            reply.reject(start + i,
                         "a status line such as 'HTTP/1.1 200 OK', with a code from 100 to 599 "
                         "and a space after it (RFC 9112 §4, RFC 9110 §15)");
        }
    }
    const auto digit = [&](std::size_t i) { return line[i] - '0'; };
    return digit(9) * 100 + digit(10) * 10 + digit(11);
}

/// Calls `visit(name, value, offset)` for each field of the header that starts at `start`, the
/// value without the blanks around it (RFC 9112 §5). Throws Unexpected.
template <SocketLike Source, typename Visit>
void visit_http_fields(const Reply<Source>& reply, std::size_t start, Visit visit) {
    const std::string_view bytes = reply.bytes();
    for (auto line = bytes.find("\r\n", start) + 2;; line = bytes.find("\r\n", line) + 2) {
        const auto text = bytes.substr(line, bytes.find("\r\n", line) - line);
        if (text.empty()) {
            return;
        }
        if (text.front() == ' ' || text.front() == '\t') {
            reply.reject(line, "no folded line (RFC 9112 §5.2)");
        }
        const auto colon = text.find(':');
        const auto name = text.substr(0, colon);
        if (colon == std::string_view::npos || !is_token(name)) {
            reply.reject(line, "a field such as 'Via: 1.1 proxy' (RFC 9112 §5)");
        }
        auto value = text.substr(colon + 1);
        value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
        value = value.substr(0, value.find_last_not_of(" \t") + 1);
        visit(name, value, line);
    }
}

/// Whether two names of fields, or schemes, are the same: upper and lower case are.
constexpr bool is_same_token(std::string_view a, std::string_view b) {
    const auto lower = [](char character) {
        return character >= 'A' && character <= 'Z' ? static_cast<char>(character + 'a' - 'A')
                                                    : character;
    };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return lower(x) == lower(y); });
}

/// Returns whether the header that starts at `start` has a field named `wanted`; looks at each of
/// its fields. Throws Unexpected.
template <SocketLike Source>
bool parse_http_fields(const Reply<Source>& reply, std::size_t start, std::string_view wanted) {
    bool found = false;
    visit_http_fields(reply, start,
                      [&](std::string_view name, std::string_view /*value*/, std::size_t) {
                          found = found || is_same_token(name, wanted);
                      });
    return found;
}

template <SocketLike Client>
void read_http_answer(Client& client, HttpVersion version) {
    constexpr int switching_protocols = 101;
    constexpr int proxy_authentication_required = 407;
    constexpr int unauthorized = 401;
    Reply reply{client, "the answer to CONNECT (RFC 9110 §9.3.6)"};
    for (;;) {
        const auto start = reply.bytes().size();
        read_http_header(reply);
        const int status = parse_http_status(reply, start);
        const bool asks_for_user = parse_http_fields(reply, start, "proxy-authenticate");
        const auto code_at = start + std::string_view{"HTTP/1.1 "}.size();
        if (status / 100 == 2) {
            return;
        }
        if (status == switching_protocols) {
            reply.reject(code_at, "no change of protocols that was not asked for (RFC 9110 §7.8)");
        }
        if (status / 100 == 1) {
            if (version == HttpVersion::http_1_0) {
                reply.reject(code_at, "no interim answer in HTTP/1.0 (RFC 9110 §15.2)");
            }
            continue;
        }
        if (status == proxy_authentication_required && !asks_for_user) {
            reply.reject(code_at, "Proxy-Authenticate beside a 407 (RFC 9110 §15.5.8)");
        }
        const auto status_line = std::string_view{reply.bytes()}.substr(start);
        // tinyproxy asks for a user by 407, and turns the wrong one away by 401.
        const bool was_user = status == proxy_authentication_required || status == unauthorized;
        throw HandshakeRefused{
            was_user ? RefusedStep::authentication : RefusedStep::connect, status,
            "2xx in " + reply.name(),
            fmt::format("'{}': {}", escape_controls(status_line.substr(0, status_line.find('\r'))),
                        bytes_around(reply.bytes(), code_at))};
    }
}

} // namespace detail

template <SocketLike Client>
std::optional<Endpoint> http_connect(Client& client, const Endpoint& target,
                                     const HttpConnectOptions& options) {
    client.write(detail::http_request(target, options));
    detail::read_http_answer(client, options.version);
    return std::nullopt;
}

} // namespace test_tunnel
