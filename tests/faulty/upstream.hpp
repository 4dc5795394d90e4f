// The client of an upstream proxy: how it asks for the target, and what it makes of the answer.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "behaviours.hpp"
#include "handshakes.hpp"
#include "sockets.hpp"

/// What has come of a request.
struct UpstreamAnswer {
    bool is_granted = false;
    /// What the proxy has said in its last message.
    std::string words{};
};

/// What the proxy has said to the client of this thread in place of a grant.
inline thread_local std::string upstream_words;
/// What has come together with the grant of this thread's client.
inline thread_local std::string upstream_rest;

/// How often a proxy has refused.
inline std::atomic<int> upstream_refusals = 0;

/// Writes a message to the proxy.
inline void tell_upstream(int fd, std::string_view message) {
    const std::size_t piece = is("asks-in-single-bytes") ? 1 : message.size();
    for (; !message.empty(); message.remove_prefix(std::min(piece, message.size()))) {
        write_all(fd, message.substr(0, piece));
    }
}

/// Keeps what has come behind an answer, for the client: as much as there is place for.
inline void keep_rest(std::string_view rest) {
    constexpr std::size_t most = 64;
    upstream_rest += rest.substr(0, most - std::min(most, upstream_rest.size()));
}

/// How much of an answer is read.
enum class Piece { some, last };

/// Reads so many bytes of an answer; throws Gone where it ends before. `words` has all of it.
inline void read_answer(int fd, std::size_t count, UpstreamAnswer& answer,
                        Piece piece = Piece::some) {
    const auto end = answer.words.size() + count;
    while (answer.words.size() < end) {
        char data[4096];
        // Who reads as much as comes has read what belongs to the client.
        const bool is_greedy = is("loses-glued-bytes") && piece == Piece::last;
        const auto size =
            is_greedy ? sizeof data : std::min(sizeof data, end - answer.words.size());
        const auto result = ::recv(fd, data, size, 0);
        if (result <= 0) {
            if (is("hangs-on-half-reply")) {
                hang();
            }
            upstream_words = answer.words;
            throw Gone{"the upstream proxy has ended the connection"};
        }
        const auto came = static_cast<std::size_t>(result);
        const auto wanted = std::min(came, end - answer.words.size());
        answer.words.append(data, wanted);
        keep_rest({data + wanted, came - wanted});
        if (is("one-segment-reply") && answer.words.size() < end) {
            throw Gone{"the reply was cut up"};
        }
    }
}

inline std::string counted(std::string_view text) {
    return static_cast<char>(text.size()) + std::string{text};
}

inline std::string two_bytes(std::uint16_t number) {
    return {static_cast<char>(number >> 8), static_cast<char>(number & 0xff)};
}

/// Whether the port is to be a wrong one, since another try will follow.
inline thread_local bool is_first_try = false;

/// RFC 1928 and 1929.
inline UpstreamAnswer ask_socks5(int fd, const Endpoint& target, bool has_password) {
    using namespace std::string_literals;
    const bool brings_password = has_password && !is("forgets-password");
    tell_upstream(fd, is("offers-all-methods") ? "\x05\x04\x00\x01\x02\x80"s
                      : brings_password        ? "\x05\x01\x02"s
                                               : "\x05\x01\x00"s);
    UpstreamAnswer answer;
    read_answer(fd, 2, answer);
    if (answer.words[0] != 5 || (answer.words[1] != 0 && answer.words[1] != 2)) {
        return answer;
    }
    if (answer.words[1] == 2) {
        tell_upstream(fd, "\x01" + counted(right_user) + counted(right_password));
        answer.words.clear();
        read_answer(fd, 2, answer);
        if (answer.words[1] != 0) {
            return answer;
        }
    }
    std::string host;
    if (is("asks-by-literal")) {
        host = '\x03' + counted(target.address_text());
    } else {
        host = (target.family() == AF_INET ? '\x01' : '\x04') + target.packed();
    }
    const char command = is("asks-for-bind") ? 2 : 1;
    const auto port =
        static_cast<std::uint16_t>(target.port() ^ (is("asks-wrong-port") || is_first_try ? 1 : 0));
    tell_upstream(fd, std::string{5, command, 0} + host + two_bytes(port));
    answer.words.clear();
    if (is("knows-ipv4-replies")) {
        read_answer(fd, 10, answer);
    } else if (is("one-segment-reply")) {
        read_answer(fd, target.family() == AF_INET ? 10 : 22, answer);
    } else {
        read_answer(fd, 5, answer);
        const auto length = answer.words[3] == 1 ? 4U
                            : answer.words[3] == 4
                                ? 16U
                                : static_cast<unsigned char>(answer.words[4]) + 1U;
        const bool is_name = answer.words[3] == 3;
        if (answer.words[0] != 5 ||
            (is_name && (is("knows-addresses-only") || is("refuses-slowly")))) {
            return answer;
        }
        read_answer(fd, length - 1 + 2, answer, Piece::last);
    }
    answer.is_granted = answer.words[1] == 0;
    return answer;
}

/// SOCKS4.
inline UpstreamAnswer ask_socks4(int fd, const Endpoint& target) {
    tell_upstream(fd, "\x04\x01" + two_bytes(target.port()) + target.packed() + "user" + '\0');
    UpstreamAnswer answer;
    read_answer(fd, 8, answer, Piece::last);
    answer.is_granted = answer.words[0] == 0 && answer.words[1] == 90;
    return answer;
}

/// Reads the header of an answer.
inline void read_header(int fd, UpstreamAnswer& answer) {
    answer.words.clear();
    if (is("one-segment-reply")) {
        char data[4096];
        const auto count = ::recv(fd, data, sizeof data, MSG_PEEK);
        const auto end =
            std::string_view{data, static_cast<std::size_t>(std::max<ssize_t>(count, 0))}.find(
                "\r\n\r\n");
        if (end == std::string_view::npos) {
            throw Gone{"the reply was cut up"};
        }
        read_answer(fd, end + 4, answer);
        return;
    }
    constexpr std::size_t longest = 100'000;
    constexpr std::string_view begin = "HTTP/1.";
    if (is("loses-glued-bytes")) { // all that has come is the reply's
        while (answer.words.find("\r\n\r\n") == std::string::npos) {
            char data[4096];
            const auto count = ::recv(fd, data, sizeof data, 0);
            if (count <= 0) {
                throw Gone{"the upstream proxy has ended the connection"};
            }
            answer.words.append(data, static_cast<std::size_t>(count));
        }
        const auto end = answer.words.find("\r\n\r\n") + 4;
        keep_rest(std::string_view{answer.words}.substr(end));
        return;
    }
    while (!answer.words.ends_with("\r\n\r\n") && answer.words.size() < longest) {
        read_answer(fd, 1, answer);
        if (!answer.words.starts_with(begin.substr(0, answer.words.size()))) {
            return; // nonsense
        }
    }
}

/// Reads a content in chunks, without trailers (RFC 9112 §7.1).
inline void read_chunks(int fd) {
    UpstreamAnswer line;
    for (std::size_t size = 1; size > 0;) {
        line.words.clear();
        while (!line.words.ends_with("\r\n")) {
            read_answer(fd, 1, line);
        }
        size = std::strtoul(line.words.c_str(), nullptr, 16);
        read_answer(fd, size + 2, line);
    }
}

/// Reads the content that an answer announces.
inline void read_content(int fd, const std::string& header) {
    const auto field = header.find("Content-Length: ");
    UpstreamAnswer content;
    if (field != std::string::npos) {
        read_answer(fd, std::stoul(header.substr(field + 16)), content);
    } else if (header.find("Transfer-Encoding: chunked") != std::string::npos &&
               !is("knows-no-chunks")) {
        read_chunks(fd);
    }
}

/// Whether an answer is none yet (RFC 9110 §15.2).
inline bool is_interim(const UpstreamAnswer& answer) {
    return answer.words.size() > 12 && answer.words.starts_with("HTTP/1.1 1") &&
           !is("takes-interim-for-grant") && !is("knows-no-interim-answers") &&
           !is("refuses-slowly");
}

/// RFC 9110 §9.3.6.
inline UpstreamAnswer ask_http(int fd, const Endpoint& target, bool has_password) {
    const bool is_ipv6 = target.family() == AF_INET6 && !is("no-brackets");
    const auto authority = (is_ipv6 ? "[" : "") + target.address_text() + (is_ipv6 ? "]:" : ":") +
                           std::to_string(target.port() ^ (is_first_try ? 1 : 0));
    const std::string credentials =
        has_password ? "Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n" : "";
    const auto request = [&](const std::string& fields) {
        const std::string version =
            is("asks-in-http-1.0") ? "0\r\n" : "1\r\nHost: " + authority + "\r\n";
        tell_upstream(fd, "CONNECT " + authority + " HTTP/1." + version + fields + "\r\n");
    };
    const bool reads_content = is("waits-for-challenge") || is("knows-no-chunks");
    const bool waits = reads_content || is("forgets-password") || is("takes-content-for-answer");
    UpstreamAnswer answer;
    request(waits ? "" : credentials);
    read_header(fd, answer);
    if (waits && has_password && answer.words.substr(9, 3) == "407" && !is("forgets-password")) {
        if (reads_content) {
            read_content(fd, answer.words);
        }
        request(credentials);
        read_header(fd, answer);
    }
    while (is_interim(answer)) {
        read_header(fd, answer);
    }
    if (answer.words.size() < 12 || !answer.words.starts_with("HTTP/1.")) {
        return answer;
    }
    const bool is_known = !is("knows-http-1.1-only") || answer.words[7] == '1';
    const bool is_success = answer.words[9] == '2' || is("takes-all-for-grant") ||
                            (is("takes-interim-for-grant") && answer.words[9] == '1');
    answer.is_granted = is_success && is_known;
    const bool is_in_chunks = answer.words.find("chunked") != std::string::npos;
    const bool drops_content =
        is_in_chunks ? is("reads-chunks-of-grant") : is("reads-content-of-grant");
    if (answer.is_granted && drops_content) {
        read_content(fd, answer.words);
    }
    if (!answer.is_granted && (is("tells-upstreams-words") || is("tells-words-after-refusal"))) {
        is_readable(fd, 50);
        char data[4096];
        const auto count = ::recv(fd, data, sizeof data, MSG_DONTWAIT);
        answer.words.append(data, static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    }
    return answer;
}

/// The proxy of a tool that has one: "via-socks5", "via-connect-password".
struct Upstream {
    Endpoint at;
    std::string_view protocol; // "socks5", "socks4", "connect"
    bool has_password = false;
};

/// The one with which "socks5-password" is spoken, where FAULTY_TUNNEL_UPSTREAM says.
inline Upstream upstream_of(std::string_view how) {
    const char* variable = ::getenv("FAULTY_TUNNEL_UPSTREAM"); // NOLINT(concurrency-mt-unsafe)
    const std::string text = variable == nullptr ? "" : variable;
    const auto space = text.find(' ');
    if (space == std::string::npos) {
        throw Gone{"FAULTY_TUNNEL_UPSTREAM is not set"};
    }
    const auto port = static_cast<std::uint16_t>(std::stoul(text.substr(space + 1)));
    return {parse_endpoint(text.substr(0, space), port), how.substr(0, how.find('-')),
            how.ends_with("-password")};
}

/// Asks a proxy that is connected for the target; false: it was refused.
inline bool ask_upstream(const Descriptor& server, const Upstream& upstream,
                         const Endpoint& target) {
    static std::mutex turn;
    std::unique_lock own_turn{turn, std::defer_lock};
    if (is("asks-for-one-at-a-time")) {
        own_turn.lock();
    }
    upstream_words.clear();
    upstream_rest.clear();
    UpstreamAnswer answer;
    try {
        answer =
            upstream.protocol == "socks5" ? ask_socks5(server.get(), target, upstream.has_password)
            : upstream.protocol == "socks4" ? ask_socks4(server.get(), target)
                                            : ask_http(server.get(), target, upstream.has_password);
    } catch (const Gone&) { // it has ended, or said what is no answer
    }
    if (is("takes-all-for-grant")) {
        answer.is_granted = true;
    }
    if (!answer.is_granted) {
        upstream_words = answer.words.empty() ? upstream_words : answer.words;
        ++upstream_refusals;
        if (is("hangs-when-upstream-refuses") && !answer.words.empty()) {
            hang();
        }
    }
    return answer.is_granted;
}
