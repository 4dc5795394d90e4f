#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"
#include "test_tunnel/handshakes/http_connect.hpp"

namespace test_tunnel::detail {

/// The header of an answer, whatever it says.
struct HttpHead {
    int status = 0;
    /// From the status line to the empty line, both with their ends.
    std::string text{};

    [[nodiscard]] bool is_success() const noexcept { return status / 100 == 2; }
    /// Whether the answer is in HTTP/1.0, which ends the connection unless it says otherwise.
    [[nodiscard]] bool is_1_0() const noexcept { return text.starts_with("HTTP/1.0"); }

    /// The status line, without its end.
    [[nodiscard]] std::string line() const { return text.substr(0, text.find('\r')); }

    /// The values of all fields of a name, which is given in lower case, without the spaces around
    /// them (RFC 9110 §5.5).
    [[nodiscard]] std::vector<std::string> values(std::string_view name) const {
        std::vector<std::string> result;
        for (auto at = text.find("\r\n") + 2; at < text.size(); at = text.find("\r\n", at) + 2) {
            const auto line = std::string_view{text}.substr(at, text.find("\r\n", at) - at);
            const auto colon = line.find(':');
            if (colon == std::string_view::npos || lower(line.substr(0, colon)) != name) {
                continue;
            }
            auto value = line.substr(colon + 1);
            const auto first = value.find_first_not_of(" \t");
            value = first == std::string_view::npos ? "" : value.substr(first);
            result.emplace_back(value.substr(0, value.find_last_not_of(" \t") + 1));
        }
        return result;
    }

    /// Whether a field of this name lists `token`; both are given in lower case.
    [[nodiscard]] bool lists(std::string_view name, std::string_view token) const {
        const auto all = values(name);
        return std::any_of(all.begin(), all.end(), [&](const std::string& value) {
            // No token that is looked for is a part of another one that is known.
            return lower(value).find(token) != std::string::npos;
        });
    }

    static std::string lower(std::string_view text) {
        std::string result{text};
        for (char& each : result) {
            each = each >= 'A' && each <= 'Z' ? static_cast<char>(each + 'a' - 'A') : each;
        }
        return result;
    }
};

/// Reads the header of an answer to CONNECT, after those of interim answers (1xx), and not a byte
/// further. Throws Unexpected where it is not well-formed.
template <SocketLike Client>
HttpHead read_http_head(Client& client) {
    Reply reply{client, "the answer to CONNECT (RFC 9110 §9.3.6)"};
    for (;;) {
        const auto start = reply.bytes().size();
        read_http_header(reply);
        const int status = parse_http_status(reply, start);
        static_cast<void>(parse_http_fields(reply, start, "connection"));
        if (status / 100 != 1) {
            return {status, reply.bytes().substr(start)};
        }
    }
}

/// Whether an answer that is no success announces that its connection ends (RFC 9112 §9.3).
inline bool announces_end(const HttpHead& head) {
    for (const std::string_view name : {"connection", "proxy-connection"}) {
        if (head.lists(name, "close")) {
            return true;
        }
        if (head.is_1_0() && head.lists(name, "keep-alive")) {
            return false;
        }
    }
    const bool has_length =
        !head.values("content-length").empty() || !head.values("transfer-encoding").empty();
    return head.is_1_0() || !has_length; // a content of no known length ends with it (§6.3)
}

/// Returns how long the content is that an answer announces; nothing where it does not say so by
/// Content-Length. Throws Unexpected where that is no number, or two.
inline std::optional<std::size_t> http_content_length(const HttpHead& head) {
    std::optional<std::size_t> result;
    constexpr std::size_t most_digits = 9; // no answer to CONNECT is that long
    for (const auto& value : head.values("content-length")) {
        const bool is_number =
            !value.empty() && value.size() <= most_digits &&
            std::all_of(value.begin(), value.end(), [](char each) { return is_digit(each); });
        const auto length = is_number ? std::optional{std::stoul(value)} : std::nullopt;
        if (!length || (result && *result != *length)) {
            throw Unexpected{"one number as Content-Length (RFC 9110 §8.6)",
                             fmt::format("'{}'", escape_controls(value))};
        }
        result = length;
    }
    return result;
}

/// Reads one line of a chunked content, with its end.
template <SocketLike Client>
std::string read_chunk_line(Reply<Client>& reply) {
    constexpr std::size_t longest = 1024;
    const auto start = reply.bytes().size();
    while (!std::string_view{reply.bytes()}.substr(start).ends_with("\r\n")) {
        if (reply.bytes().size() - start >= longest) {
            reply.reject(start, "a line of at most 1 KiB (RFC 9112 §7.1)");
        }
        static_cast<void>(reply.read_byte());
    }
    return reply.bytes().substr(start);
}

/// Reads the content of an answer as its header announces it, and not a byte further: by its
/// length, or in chunks; else nothing, since it ends with the connection. Throws Unexpected where
/// it ends too early, or is not well-formed.
template <SocketLike Client>
void read_http_content(Client& client, const HttpHead& head) {
    constexpr std::size_t most = std::size_t{1} << 20U;
    Reply reply{client,
                fmt::format("the content of '{}' (RFC 9112 §6.3)", escape_controls(head.line()))};
    if (head.lists("transfer-encoding", "chunked")) {
        for (;;) {
            const auto start = reply.bytes().size();
            const auto line = read_chunk_line(reply);
            const auto digits = line.find_first_not_of("0123456789abcdefABCDEF");
            if (digits == 0 || digits > 5 || reply.bytes().size() > most) {
                reply.reject(start, "the size of a chunk (RFC 9112 §7.1)");
            }
            const auto size = std::stoul(line.substr(0, digits), nullptr, 16);
            if (size == 0) {
                break;
            }
            static_cast<void>(reply.read(size));
            reply.read_constant("\r\n", "the end of a chunk (RFC 9112 §7.1)");
        }
        while (read_chunk_line(reply) != "\r\n") { // trailers
            if (reply.bytes().size() > most) {
                reply.reject(most, "an end of the trailers");
            }
        }
        return;
    }
    const auto length = http_content_length(head);
    if (length && *length > most) {
        reply.reject(0, "a content of at most 1 MiB");
    }
    if (length && *length > 0) {
        static_cast<void>(reply.read(*length));
    }
}

} // namespace test_tunnel::detail
