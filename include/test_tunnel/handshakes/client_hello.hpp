#pragma once

// A client's hello of TLS, as tools see it that only look at it.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/handshakes/detail/reply.hpp"

namespace test_tunnel {

namespace detail {

constexpr std::size_t tls_record_header = 5;
constexpr char tls_handshake_record = 0x16;

/// Returns a number as TLS writes it.
inline std::string tls_number(std::size_t number, unsigned bytes) {
    constexpr unsigned bits = 8;
    std::string result;
    for (unsigned i = bytes; i-- > 0;) {
        result += static_cast<char>(static_cast<unsigned char>(number >> (bits * i)));
    }
    return result;
}

/// Returns a text with its length before it.
inline std::string tls_vector(std::string_view text, unsigned bytes) {
    return tls_number(text.size(), bytes) + std::string{text};
}

/// Returns a record of the handshake (RFC 8446 §5.1).
inline std::string tls_record(std::string_view text) {
    constexpr std::size_t version = 0x0301;
    return tls_handshake_record + tls_number(version, 2) + tls_vector(text, 2);
}

/// Returns an extension of a hello (RFC 8446 §4.2).
inline std::string tls_extension(std::size_t type, std::string_view content) {
    return tls_number(type, 2) + tls_vector(content, 2);
}

/// Returns the extension that asks for a name (RFC 6066 §3).
inline std::string tls_name(std::string_view name) {
    return tls_extension(0, tls_vector('\0' + tls_vector(name, 2), 2));
}

} // namespace detail

/// Returns a client's hello (RFC 8446 §4.1.2), in one record, that asks for `name` (RFC 6066 §3),
/// or for none where that is empty, and has `least` bytes at the least.
inline std::string make_tls_hello(std::string_view name, std::size_t least = 0) {
    using detail::tls_extension;
    using detail::tls_number;
    using detail::tls_vector;
    constexpr std::size_t size_of_random = 32;
    std::string random;
    for (std::size_t i = 0; i < size_of_random; ++i) {
        random += static_cast<char>(i * 7 + 1);
    }
    constexpr std::string_view suites{"\x13\x01\x13\x02\x13\x03\xc0\x2b\xc0\x2f\x00\xff", 12};
    std::string extensions;
    if (!name.empty()) {
        extensions += detail::tls_name(name);
    }
    extensions += tls_extension(10, tls_vector({"\x00\x1d\x00\x17", 4}, 2)) +
                  tls_extension(11, tls_vector({"\x00", 1}, 1)) +
                  tls_extension(13, tls_vector({"\x04\x03\x08\x04\x04\x01", 6}, 2)) +
                  tls_extension(43, tls_vector("\x03\x04\x03\x03", 1)) +
                  tls_extension(45, tls_vector("\x01", 1)) +
                  tls_extension(51, tls_vector(tls_number(29, 2) + tls_vector(random, 2), 2));
    if (least > 0) { // one that nobody has to know (RFC 8701)
        extensions += tls_extension(0x1a1a, std::string(least, '\0'));
    }
    const auto body = tls_number(0x0303, 2) + random + tls_vector(random, 1) +
                      tls_vector(suites, 2) + tls_vector({"\x00", 1}, 1) +
                      tls_vector(extensions, 2);
    return detail::tls_record('\x01' + tls_vector(body, 3));
}

/// Returns a hello that is one record as two, the first of which carries `first` bytes of it: what
/// a message is does not depend on that (RFC 8446 §5.1).
inline std::string in_two_records(std::string_view hello, std::size_t first) {
    using detail::tls_record_header;
    const auto text = hello.substr(tls_record_header);
    const auto size = std::min(first, text.size() - 1);
    return detail::tls_record(text.substr(0, size)) + detail::tls_record(text.substr(size));
}

/// Reads a client's hello, however it is cut into records, and returns it as it came. Throws
/// Unexpected where it is none, or asks for another name than `name`.
template <SocketLike Peer>
std::string read_tls_hello(Peer& peer, std::string_view name) {
    constexpr std::size_t message_header = 4;
    const auto size_in = [](std::string_view header) {
        return std::size_t{detail::byte_at(header, 1)} << 16U | detail::number_at(header, 2);
    };
    detail::Reply reply{peer, name.empty() ? "the client's hello (RFC 8446 §4.1.2)"
                                           : fmt::format("the client's hello for {} (RFC 8446 "
                                                         "§4.1.2)",
                                                         name)};
    std::string message;
    while (message.size() < message_header || message.size() < message_header + size_in(message)) {
        reply.read_constant({"\x16\x03", 2}, "a record of TLS");
        const auto size = detail::number_at(reply.read(3), 1);
        if (size == 0) {
            reply.reject(reply.bytes().size() - 2, "a record that is not empty");
        }
        message += reply.read(size);
        if (message.front() != '\x01') {
            reply.reject(reply.bytes().size() - size, "a hello");
        }
    }
    if (!name.empty() && message.find(detail::tls_name(name)) == std::string::npos) {
        throw Unexpected{reply.name(), "one that does not ask for it\n" + hexdump(reply.bytes())};
    }
    return reply.bytes();
}

} // namespace test_tunnel
