// What tools say besides a plain yes or no: the header and the content of an answer to CONNECT, and
// the two replies to BIND.

#include <test_tunnel/handshakes/detail/http_answer.hpp>
#include <test_tunnel/handshakes/socks5_bind.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>
#include <string_view>

#include "support/scripted_peer.hpp"

using namespace test_tunnel;
using namespace std::string_literals;
using Catch::Matchers::ContainsSubstring;
using support::MemoryStream;
using support::text_of_error;

namespace {

detail::HttpHead head_of(const std::string& text) {
    MemoryStream stream{text};
    return detail::read_http_head(stream);
}

/// How much of what follows a header is read as its content.
std::size_t content_of(const std::string& header, const std::string& rest) {
    MemoryStream stream{rest};
    detail::read_http_content(stream, head_of(header));
    return stream.consumed();
}

std::string wrong_content(const std::string& header, const std::string& rest) {
    return text_of_error<Unexpected>([&] { content_of(header, rest); });
}

const std::string counted = "HTTP/1.1 407 No\r\nContent-Length: 4\r\n\r\n";
const std::string chunked = "HTTP/1.1 407 No\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n";
const Endpoint peer{Address::parse("192.0.2.1"), 0x1234};

} // namespace

TEST_CASE("the fields of an answer are found in whatever case they are written", "[answers]") {
    const auto head =
        head_of("HTTP/1.1 103 x\r\n\r\nHTTP/1.0 407 No\r\nA:1\r\nx-B: \t2 \t\r\nX-b:\r\n\r\nrest");
    CHECK(head.status == 407);
    CHECK(head.is_1_0());
    CHECK_FALSE(head.is_success());
    CHECK(head.line() == "HTTP/1.0 407 No");
    CHECK(head.values("a") == std::vector{"1"s});
    CHECK(head.values("x-b") == std::vector{"2"s, ""s});
    CHECK(head.values("http/1.0 407 no").empty());
}

TEST_CASE("an answer tells whether it ends the connection", "[answers]") {
    const auto ends = [](const std::string& line, const std::string& fields) {
        return detail::announces_end(head_of(line + " 407 No\r\n" + fields + "\r\n"));
    };
    CHECK_FALSE(ends("HTTP/1.1", "Content-Length: 0\r\n"));
    CHECK_FALSE(ends("HTTP/1.1", "transfer-encoding: chunked\r\n"));
    CHECK_FALSE(ends("HTTP/1.0", "Content-Length: 0\r\nConnection: Keep-Alive\r\n"));
    CHECK(ends("HTTP/1.1", "Content-Length: 0\r\nconnection: Close\r\n"));
    CHECK(ends("HTTP/1.1", "Content-Length: 0\r\nProxy-Connection: close\r\n"));
    CHECK(ends("HTTP/1.0", "Content-Length: 0\r\n"));
    CHECK(ends("HTTP/1.1", "")); // its content ends with the connection
}

TEST_CASE("a content is read as it is announced, and not a byte further", "[answers]") {
    CHECK(content_of(counted, "Who?the next") == 4);
    CHECK(content_of("HTTP/1.1 407 No\r\n\r\n", "Who?") == 0);
    const auto chunks = "4;x=y\r\nWho?\r\n1a\r\n"s + std::string(26, 'x') + "\r\n0\r\nA: b\r\n\r\n";
    CHECK(content_of(chunked, chunks + "next") == chunks.size());
}

TEST_CASE("a content that is not as it was announced is told", "[answers]") {
    CHECK_THAT(wrong_content(counted, "Who"), ContainsSubstring("then end of stream"));
    CHECK_THAT(wrong_content(counted, "Who"),
               ContainsSubstring("the content of 'HTTP/1.1 407 No'"));
    const std::string length = GENERATE("x", "", "-1", "1, 1", "99999999999", "0x1");
    CHECK_THAT(wrong_content("HTTP/1.1 407 No\r\nContent-Length: " + length + "\r\n\r\n", "xxxx"),
               ContainsSubstring("RFC 9110 §8.6"));
    CHECK_THAT(
        wrong_content("HTTP/1.1 407 No\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "xx"),
        ContainsSubstring("one number"));
    const std::string chunk = GENERATE("\r\n", "x\r\n", "fffffff\r\n", "2\r\nabc\r\n");
    CHECK_THAT(wrong_content(chunked, chunk), ContainsSubstring("§7.1"));
}

TEST_CASE("BIND asks for a peer, and is told where to call and who has called", "[answers]") {
    const auto replies =
        "\x05\x00\x05\x00\x00\x01\xc0\x00\x02\x07\x10\x01"s
        "\x05\x00\x00\x01\xc0\x00\x02\x01\x12\x34next"s;
    MemoryStream stream{replies};
    CHECK(socks5_bind(stream, peer) == Endpoint{Address::parse("192.0.2.7"), 0x1001});
    CHECK(stream.written() == "\x05\x01\x00\x05\x02\x00\x01\xc0\x00\x02\x01\x12\x34"s);
    CHECK(socks5_await_peer(stream) == peer);
    CHECK(stream.consumed() == replies.size() - 4);
}

TEST_CASE("a reply to BIND that tells the peer nothing is thrown out", "[answers]") {
    const auto place = GENERATE("\x01\x00\x00\x00\x00\x10\x01"s, "\x01\xc0\x00\x02\x07\x00\x00"s,
                                "\x03\x01x\x10\x01"s);
    const auto replies = "\x05\x00\x05\x00\x00"s + place;
    MemoryStream stream{replies};
    CHECK_THAT(text_of_error<Unexpected>([&] { socks5_bind(stream, peer); }),
               ContainsSubstring("an address and a port in the first reply to BIND (RFC 1928 §4)"));
    const auto refusal = "\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"s;
    MemoryStream refused{refusal};
    CHECK_THROWS_AS(socks5_bind(refused, peer), HandshakeRefused);
}
