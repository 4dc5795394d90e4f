// What a tool says in a handshake may be anything at all. libFuzzer's target for all the readers of
// such replies and requests, which run as they do on a socket, but from memory:
//
//     clang++-16 -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
//         -Iinclude tests/fuzz/handshakes.cpp -lfmt -o fuzz_handshakes
//     ./fuzz_handshakes -max_len=4096 -max_total_time=300 new_corpus tests/fuzz/corpus
//
// The first byte of an input selects the handshake, the others are the replies, or a datagram of
// SOCKS5.

#include <test_tunnel/handshakes/client_hello.hpp>
#include <test_tunnel/handshakes/detail/http_answer.hpp>
#include <test_tunnel/handshakes/handshake_refused.hpp>
#include <test_tunnel/handshakes/http_accept.hpp>
#include <test_tunnel/handshakes/http_connect.hpp>
#include <test_tunnel/handshakes/proxy_datagram.hpp>
#include <test_tunnel/handshakes/proxy_protocol.hpp>
#include <test_tunnel/handshakes/socks4.hpp>
#include <test_tunnel/handshakes/socks4_accept.hpp>
#include <test_tunnel/handshakes/socks5.hpp>
#include <test_tunnel/handshakes/socks5_accept.hpp>
#include <test_tunnel/handshakes/socks5_bind.hpp>
#include <test_tunnel/handshakes/socks5_udp.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "../support/memory_stream.hpp"

using namespace test_tunnel;

namespace {

/// What came of a handshake.
struct Result {
    bool accepted = false;
    bool refused = false;
    std::size_t consumed = 0;
    std::string text;
};

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "invariant violated: %s\n", what);
    std::abort();
}

std::string text_of(const std::optional<Endpoint>& endpoint) {
    return endpoint ? endpoint->text() : "nothing";
}

std::string text_of(const ProxyHeader& header) {
    return fmt::format("{} {} {} {}", static_cast<int>(header.version),
                       static_cast<int>(header.command), text_of(header.source),
                       text_of(header.destination));
}

std::string text_of(const Asked& asked) {
    return fmt::format("{} {} {}", asked.text(), asked.name, asked.user.value_or("-"));
}

std::string perform(unsigned selector, support::MemoryStream& stream) {
    const Endpoint target{Address{}, 80};
    switch (selector) {
        case 0:
            return text_of(socks5_connect(stream, target));
        case 1:
            return text_of(socks5_connect(stream, target, {.user = "u", .password = "p"}));
        case 2:
            return text_of(socks5_connect(
                stream, target, {.user = "u", .password = "p", .offer_no_authentication = true}));
        case 3:
            return text_of(socks4_connect(stream, target));
        case 4:
            return text_of(http_connect(stream, target));
        case 5:
            return text_of(http_connect(stream, target, {.version = HttpVersion::http_1_0}));
        case 6:
            return text_of(read_proxy_header(stream));
        case 7:
            return text_of(read_proxy_header(stream, ProxyVersion::v1));
        case 8:
            return text_of(read_proxy_header(stream, ProxyVersion::v2));
        case 9:
            return text_of(socks5_accept(stream, target, {.names = {"n"}}));
        case 10:
            return text_of(
                socks5_accept(stream, target, {.names = {"n"}, .user = "u", .password = "p"}));
        case 11:
            return text_of(socks4_accept(stream, target, {.names = {"n"}}));
        case 12:
            return text_of(http_accept(stream, target, {.names = {"n"}}));
        case 13:
            return text_of(
                http_accept(stream, target, {.names = {"n"}, .user = "u", .password = "p"}));
        case 14:
            return text_of(socks5_associate(stream, target));
        case 15: {
            const auto head = detail::read_http_head(stream);
            detail::read_http_content(stream, head);
            return head.text + (detail::announces_end(head) ? "ends" : "goes on");
        }
        case 16: {
            const auto where = socks5_bind(stream, target);
            return where.text() + socks5_await_peer(stream).text();
        }
        default:
            return read_tls_hello(stream, "a.test");
    }
}

Result run(unsigned selector, std::string_view replies,
           std::size_t piece = std::string_view::npos) {
    Result result;
    support::MemoryStream stream{replies, piece};
    try {
        result.text = perform(selector, stream);
        result.accepted = true;
    } catch (const HandshakeRefused& refused) {
        result.refused = true;
        result.text = refused.what();
    } catch (const Unexpected& error) { // every other exception is a crash
        result.text = error.what();
        if (error.expected().find("§") == std::string::npos) {
            fail("an error without the section");
        }
    }
    result.consumed = stream.consumed();
    return result;
}

/// A datagram is whole: what is read of its header is written in the same way, and it has no other
/// beginning that is as good.
void try_datagram(const std::string& datagram) {
    Socks5Datagram read;
    try {
        read = read_socks5_datagram(datagram);
    } catch (const Unexpected& error) { // every other exception is a crash
        if (error.expected().find("§") == std::string::npos) {
            fail("an error without the section");
        }
        return;
    }
    auto again = socks5_datagram(read.endpoint, read.data, read.name);
    again[2] = static_cast<char>(read.fragment);
    if (again != datagram) {
        fail("a header is not read as it is written");
    }
    const auto header = datagram.size() - read.data.size();
    for (std::size_t length = 0; length < header; ++length) {
        try {
            read_socks5_datagram(std::string{datagram.substr(0, length)});
        } catch (const Unexpected&) {
            continue;
        }
        fail("a header that was cut off is accepted");
    }
}

/// What follows a header is the datagram's, to the last byte.
void try_proxied_datagram(const std::string& datagram) {
    try {
        const auto read = read_proxy_datagram(datagram);
        if (read.source.has_value() != read.destination.has_value()) {
            fail("a source without a destination, or a destination without a source");
        }
        if (!datagram.ends_with(read.data)) {
            fail("what follows a header is not what follows it");
        }
    } catch (const Unexpected& error) { // every other exception is a crash
        if (error.expected().find("§") == std::string::npos) {
            fail("an error without the section");
        }
    }
}

} // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr unsigned handshakes = 18;
    constexpr unsigned datagram = handshakes;
    constexpr unsigned proxied_datagram = handshakes + 1;
    if (size == 0) {
        return 0;
    }
    const unsigned selector = data[0] % (handshakes + 2);
    // A copy of its own, so that an access beyond its end is seen.
    const std::string replies{reinterpret_cast<const char*>(data) + 1, size - 1};
    if (selector == datagram) {
        try_datagram(replies);
        return 0;
    }
    if (selector == proxied_datagram) {
        try_proxied_datagram(replies);
        return 0;
    }
    const auto whole = run(selector, replies);
    const auto in_bytes = run(selector, replies, 1);
    const bool final = whole.accepted || whole.refused;
    if (in_bytes.accepted != whole.accepted || in_bytes.refused != whole.refused) {
        fail("the outcome depends on how the reply is cut up");
    }
    if (!final) {
        return 0;
    }
    if (in_bytes.text != whole.text || in_bytes.consumed != whole.consumed) {
        fail("the result depends on how the reply is cut up");
    }
    // What was consumed is the whole reply: it is enough, nothing less is, and what follows is
    // left.
    const auto reply = std::string_view{replies}.substr(0, whole.consumed);
    const auto alone = run(selector, reply);
    if (alone.accepted != whole.accepted || alone.text != whole.text) {
        fail("a reply is not accepted without what follows it");
    }
    const auto glued = std::string{reply} + std::string{reply};
    if (const auto result = run(selector, glued);
        result.text != whole.text || result.consumed != reply.size()) {
        fail("what follows a reply changes what is made of it");
    }
    // Each prefix of a long reply would take too long.
    const std::size_t step = reply.size() / 128 + 1;
    for (std::size_t length = 0; length < reply.size(); length += step) {
        const auto cut = run(selector, reply.substr(0, length));
        if (cut.accepted || cut.refused) {
            fail("a reply that was cut off is accepted");
        }
        if (cut.text.find("then end of stream") == std::string::npos) {
            fail("a reply is thrown out before its end, but accepted with it");
        }
    }
    return 0;
}
