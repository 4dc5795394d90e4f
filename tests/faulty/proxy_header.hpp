// The header of the PROXY protocol that is expected of clients (haproxy's proxy-protocol.txt).

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "behaviours.hpp"
#include "distortions.hpp"
#include "keeping.hpp"
#include "sockets.hpp"

/// Of whom a header tells.
struct ProxiedClient {
    Endpoint source;
    Endpoint destination;
};

/// Of whom the header of this connection has told.
inline thread_local std::optional<ProxiedClient> told_client;

/// What was read of the client's data already.
inline thread_local std::string data_behind_header;

/// What came is no header, or not one that is taken.
struct NoHeader : Gone {
    using Gone::Gone;
};

inline constexpr std::string_view signature_of_v2{"\r\n\r\n\0\r\nQUIT\n", 12};

inline bool takes_header_v1(std::string_view mode) {
    return mode.starts_with("proxy-v1") || is("header-either-version") ||
           is("header-any-version-in");
}

inline bool takes_header_v2(std::string_view mode) {
    return !mode.starts_with("proxy-v1") || is("header-either-version") ||
           is("header-any-version-in") || is("header-late-for-other");
}

inline std::uint16_t number_of(std::string_view bytes) {
    return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[0]) << 8U |
                                      static_cast<unsigned char>(bytes[1]));
}

/// The CRC-32C of RFC 9260.
inline std::uint32_t checksum_of(std::string_view bytes) {
    std::uint32_t result = ~0U;
    for (const char byte : bytes) {
        result ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; ++bit) {
            result = (result & 1U) != 0 ? result >> 1U ^ 0x82f63b78U : result >> 1U;
        }
    }
    return ~result;
}

/// Whether a header, whose values begin at `offset`, has no checksum or the right one.
inline bool has_right_checksum(std::string header, std::size_t offset) {
    while (offset + 3 <= header.size()) {
        const std::size_t length = number_of(std::string_view{header}.substr(offset + 1));
        if (header[offset] == '\x03' && length == 4) {
            const auto found = header.substr(offset + 3, 4);
            if (!is("header-miscounts-checksum")) {
                header.replace(offset + 3, 4, 4, '\0');
            }
            const auto sum = checksum_of(header);
            for (unsigned i = 0; i < 4; ++i) {
                if (static_cast<unsigned char>(found[i]) != (sum >> (24U - 8U * i) & 0xffU)) {
                    return false;
                }
            }
        }
        offset += 3 + length;
    }
    return true;
}

/// Reads what a client sends first, and remembers whether that came in pieces.
class HeaderReader {
public:
    explicit HeaderReader(int fd) : fd_{fd} {}

    [[nodiscard]] const std::string& bytes() const { return bytes_; }
    [[nodiscard]] int fd() const { return fd_; }

    /// The next byte.
    char next() {
        if (readable_bytes(fd_) == 0 && !bytes_.empty()) {
            came_in_pieces_ = true;
            if (is("header-in-one-segment")) {
                throw NoHeader{"a PROXY header in pieces"};
            }
            if (is("header-hangs-on-pieces") && is_readable(fd_, -1) && readable_bytes(fd_) > 0) {
                hang();
            }
        }
        char byte = 0;
        const auto count = ::recv(fd_, &byte, 1, 0);
        if (count <= 0) {
            throw Gone{"the client left in the PROXY header"};
        }
        bytes_ += byte;
        return byte;
    }

    void read_to(std::size_t size) {
        while (bytes_.size() < size) {
            next();
        }
    }

    [[nodiscard]] bool came_in_pieces() const { return came_in_pieces_; }

private:
    int fd_;
    std::string bytes_;
    bool came_in_pieces_ = false;
};

inline std::vector<std::string> words_of(const std::string& line) {
    std::vector<std::string> result;
    for (std::size_t begin = 0; begin <= line.size();) {
        const auto end = std::min(line.find(' ', begin), line.size());
        result.push_back(line.substr(begin, end - begin));
        begin = end + 1;
    }
    return result;
}

inline Endpoint endpoint_of(const std::string& address, const std::string& port, int family) {
    const bool is_number = !port.empty() && port.size() <= 5 &&
                           port.find_first_not_of("0123456789") == std::string::npos;
    const int number = is_number ? std::stoi(port) : 65536;
    if (number > 65535) {
        throw NoHeader{"no port: " + port};
    }
    try {
        auto result = parse_endpoint(address, static_cast<std::uint16_t>(number));
        if (result.family() == family) {
            return result;
        }
    } catch (const Gone&) { // said below
    }
    throw NoHeader{"no address: " + address};
}

/// Reads the rest of the line of version 1.
inline void read_header_v1(HeaderReader& reader) {
    constexpr std::size_t longest = 107;
    const auto& line = reader.bytes();
    const auto has_ended = [&] { return line.ends_with(is("header-bare-lf") ? "\n" : "\r\n"); };
    while (!has_ended()) {
        if (line.size() >= longest && !is("header-endless-line")) {
            throw NoHeader{"a line without an end"};
        }
        reader.next();
        if (is("header-leaks-unknown") && line == "PROXY UNKNOWN") {
            reader.read_to(line.size() + 2);
            return;
        }
    }
    if (is("header-any-words")) {
        return;
    }
    auto text = line.substr(0, line.find_last_not_of("\r\n") + 1);
    auto words = words_of(text);
    if (is("header-takes-spaces")) {
        std::erase(words, "");
    }
    if (is("header-takes-more-words") && words.size() > 6) {
        words.resize(6);
    }
    if (is("header-same-family-only") && words.size() > 2 && words[1] != "UNKNOWN" &&
        (words[1] == "TCP4") != (peer_endpoint(reader.fd()).family() == AF_INET)) {
        throw NoHeader{"a client of another family"};
    }
    if (words.size() < 2 || words[0] != "PROXY") {
        throw NoHeader{"not PROXY"};
    }
    if (words[1] == "UNKNOWN") {
        if (is("header-refuses-unknown")) {
            throw NoHeader{"a client that is unknown"};
        }
        if (is("header-unknown-alone") && words.size() > 2) {
            hang();
        }
        return;
    }
    if ((words[1] != "TCP4" && words[1] != "TCP6") || words.size() != 6) {
        throw NoHeader{"not TCP4 or TCP6 and four words"};
    }
    const int family = words[1] == "TCP4" ? AF_INET : AF_INET6;
    told_client = ProxiedClient{endpoint_of(words[2], words[4], family),
                                endpoint_of(words[3], words[5], family)};
}

inline Endpoint packed_endpoint(std::string_view address, std::string_view port) {
    const bool is_ipv4 = address.size() == 4;
    auto result = any_address(is_ipv4 ? AF_INET : AF_INET6, number_of(port));
    auto* const to =
        reinterpret_cast<char*>(&result.storage) +
        (is_ipv4 ? offsetof(sockaddr_in, sin_addr) : offsetof(sockaddr_in6, sin6_addr));
    std::memcpy(to, address.data(), address.size());
    return result;
}

/// How many of the bytes that version 2's length announces are read.
inline std::size_t taken_length(std::size_t length, std::size_t addresses, bool is_local,
                                unsigned family) {
    if (length > 1484 && is("header-hangs-on-long")) {
        hang();
    }
    if ((length > 496 && is("header-limit-512")) || (length > 1484 && is("header-limit-1500")) ||
        (length > 91 && is("header-limit-107"))) {
        throw NoHeader{"a header that is too long"};
    }
    if ((is("header-leaks-local") && is_local) ||
        (is("header-leaks-unspecified") && !is_local && family == 0)) {
        return 0;
    }
    if (is("header-leaks-unix") && !is_local && family >> 4U == 3) {
        return std::min<std::size_t>(length, 36);
    }
    if ((is("header-leaks-local-values") && is_local) ||
        (is("header-leaks-values") && !is_local && family != 0)) {
        return std::min(length, addresses);
    }
    return is("header-leaks-beyond-1k") ? std::min<std::size_t>(length, 1008) : length;
}

/// Reads what follows the signature of version 2.
inline void read_header_v2(HeaderReader& reader) {
    constexpr std::size_t fixed = 16;
    reader.read_to(fixed);
    const auto command = static_cast<unsigned char>(reader.bytes()[12]);
    const auto family = static_cast<unsigned char>(reader.bytes()[13]);
    const bool is_local = command == 0x20;
    if (command != 0x21 && !is_local && !is("header-any-command")) {
        throw NoHeader{"an unknown version or command"};
    }
    if (is_local && is("header-refuses-local")) {
        throw NoHeader{"LOCAL"};
    }
    if (is_local && is("header-hangs-on-local")) {
        hang();
    }
    const bool serves_unix = is("header-serves-unix") || is("header-leaks-unix");
    const bool is_unix = !is_local && family >> 4U == 3 && serves_unix;
    const std::size_t size = family >> 4U == 1 ? 4 : family >> 4U == 2 ? 16 : 0;
    const auto addresses = size == 0 ? 0 : 2 * size + 4;
    const auto length = number_of(std::string_view{reader.bytes()}.substr(14));
    if (is_local && length == 0 && is("header-wants-addresses")) {
        throw NoHeader{"no addresses"};
    }
    if (!is_local && family == 0 && is("header-refuses-unspecified")) {
        throw NoHeader{"an unspecified family"};
    }
    if (!is_local && family != 0 && size == 0 && !is_unix) {
        throw NoHeader{"an unknown family"};
    }
    if (!is_local && length < addresses && !is("header-any-length")) {
        throw NoHeader{"a header that is too short"};
    }
    reader.read_to(fixed + taken_length(length, addresses, is_local, family));
    const bool verifies = is("header-verifies-checksum") || is("header-miscounts-checksum");
    if (verifies && !has_right_checksum(reader.bytes(), fixed + addresses)) {
        throw NoHeader{"a wrong checksum"};
    }
    if (!is_local && size != 0 && length >= addresses) {
        const std::string_view block = std::string_view{reader.bytes()}.substr(fixed);
        told_client =
            ProxiedClient{packed_endpoint(block.substr(0, size), block.substr(2 * size)),
                          packed_endpoint(block.substr(size, size), block.substr(2 * size + 2))};
    }
}

/// Whether what has come begins like a header; waits for as many bytes as that takes.
inline bool begins_like_header(int fd) {
    constexpr std::string_view text = "PROXY ";
    for (;;) {
        char bytes[signature_of_v2.size()];
        is_readable(fd, -1);
        const auto count = ::recv(fd, bytes, sizeof bytes, MSG_PEEK);
        const std::string_view seen{bytes, static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
        if (seen.empty()) {
            throw Gone{"the client has left before it said anything"};
        }
        if (!text.starts_with(seen.substr(0, text.size())) && !signature_of_v2.starts_with(seen)) {
            return false;
        }
        if (seen.starts_with(text) || seen == signature_of_v2) {
            return true;
        }
        sleep_for(1ms);
    }
}

/// What is done with data that comes in one segment with the header.
inline void treat_glued(int fd, const HeaderReader& reader) {
    const auto glued = readable_bytes(fd);
    if (is("header-loses-glued") && glued > 0) {
        read_exactly(fd, glued);
    }
    if (is("header-loses-glued-beyond-4k") && glued + reader.bytes().size() > 4096) {
        data_behind_header = read_exactly(fd, 4096 - reader.bytes().size()).substr(0, 1024);
    }
    if (is("header-repeats-glued") && glued > 0) {
        data_behind_header = read_exactly(fd, glued);
        data_behind_header += data_behind_header;
    }
    if (is("header-leaks-cut-end") && reader.came_in_pieces()) {
        data_behind_header = reader.bytes().back();
    }
}

/// Waits until the whole header is there, without reading it.
inline void peek_at_header(int fd) {
    for (std::size_t needed = 1;;) {
        is_readable(fd, -1);
        std::string seen(4096, '\0');
        const auto count = ::recv(fd, seen.data(), seen.size(), MSG_PEEK);
        seen.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        const bool is_v2 = !seen.empty() && seen[0] == '\r';
        needed =
            is_v2 && seen.size() >= 16 ? 16U + number_of(std::string_view{seen}.substr(14)) : 17;
        const bool is_whole =
            is_v2 ? seen.size() >= needed : seen.find("\r\n") != std::string::npos;
        pollfd state{fd, POLLRDHUP, 0};
        if (is_whole || seen.size() > 107 + (is_v2 ? 4000U : 0U) || ::poll(&state, 1, 0) > 0) {
            return;
        }
        sleep_for(1ms);
    }
}

inline void read_header_of(int fd, std::string_view mode) {
    HeaderReader reader{fd};
    if (is("header-optional") && !begins_like_header(fd)) {
        return;
    }
    if (is("header-peeks")) {
        peek_at_header(fd);
    }
    try {
        const char first = reader.next();
        if (first == 'P' && takes_header_v1(mode)) {
            read_header_v1(reader);
        } else if (first == '\r' && takes_header_v2(mode)) {
            reader.read_to(signature_of_v2.size());
            if (reader.bytes() != signature_of_v2 && !is("header-any-signature")) {
                throw NoHeader{"another signature"};
            }
            read_header_v2(reader);
            if (is("header-late-for-other")) {
                sleep_for(400ms);
            }
        } else {
            throw NoHeader{"no PROXY header"};
        }
    } catch (const NoHeader&) {
        if (is("header-eats-garbage")) {
            return;
        }
        data_behind_header = is("header-flushes-late") ? reader.bytes() : "";
        throw;
    } catch (const Gone&) {
        if (is("header-serves-half")) {
            data_behind_header = reader.bytes();
            return;
        }
        data_behind_header = is("header-flushes-half-late") ? reader.bytes() : "";
        process.has_stopped = process.has_stopped || is("header-stops-after-half");
        if (is("header-hangs-on-half")) {
            hang();
        }
        throw;
    }
    treat_glued(fd, reader);
}

/// Reads the header that a client has to send; throws where it is refused.
inline void read_client_header(Descriptor& client, std::string_view mode) {
    told_client.reset();
    data_behind_header.clear();
    try {
        read_header_of(client.get(), mode);
    } catch (const NoHeader&) {
        process.has_stopped = process.has_stopped || is("header-stops-after-garbage");
        if (is("header-leaks-at-garbage")) {
            keep_descriptor();
        }
        if (is("header-crashes-on-garbage")) {
            crash();
        }
        if (is("header-hangs-on-garbage")) {
            hang();
        }
        if (is("header-refuses-late")) {
            sleep_for(300ms);
        }
        if (is("header-says-why")) {
            write_all(client.get(), "400 there must be a PROXY header\r\n");
        }
        if (is("header-refuses-politely") || is("header-says-why")) {
            close_politely(client);
        }
        throw;
    }
}

/// The header of version 2 that tells the server of this connection's client.
inline std::string header_for_server(const Endpoint& peer, const Endpoint& listen) {
    ProxiedClient told = told_client.value_or(ProxiedClient{peer, listen});
    if (is("header-tells-own-peer")) {
        told = {peer, listen};
    }
    if (is("header-tells-other-port") && told.source.port() != peer.port()) {
        told.source.set_port(static_cast<std::uint16_t>(told.source.port() ^ 1U));
    }
    if (is("header-tells-latest-client")) {
        static std::mutex mutex;
        static std::optional<ProxiedClient> latest;
        const auto take_latest = [&](const std::optional<ProxiedClient>& client) {
            const std::lock_guard lock{mutex};
            latest = client ? client : latest;
            return *latest;
        };
        take_latest(told);
        sleep_for(5ms);
        told = take_latest({});
    }
    if (is("header-tells-last-client")) {
        static std::mutex mutex;
        static std::optional<ProxiedClient> last;
        const std::lock_guard lock{mutex};
        const auto before = std::exchange(last, told);
        if (before && told.source.packed() != peer.packed()) {
            told = *before;
        }
    }
    std::string header{signature_of_v2};
    if (is("header-tells-ipv4-only") && told.source.packed() != peer.packed() &&
        told.source.family() == AF_INET6) {
        return header += std::string_view{"\x21\0\0\0", 4};
    }
    const auto number = [](std::uint16_t value) {
        return std::string{static_cast<char>(value >> 8U), static_cast<char>(value & 0xffU)};
    };
    const auto source = told.source.packed();
    header += '\x21';
    header += source.size() == 4 ? '\x11' : '\x21';
    header += number(static_cast<std::uint16_t>(2 * source.size() + 4));
    return header += source + told.destination.packed() + number(told.source.port()) +
                     number(told.destination.port());
}
