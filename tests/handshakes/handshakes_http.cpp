#include <test_tunnel/handshakes/http_connect.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/scripted_peer.hpp"

using namespace test_tunnel;
using namespace std::string_literals;
using namespace std::string_view_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using support::check_exact;
using support::MemoryStream;
using support::text_of_error;

namespace {

const Endpoint target{Address::parse("192.0.2.1"), 80};
const Endpoint target6{Address::parse("2001:db8::1"), 443};

auto http(HttpConnectOptions options = {}, Endpoint to = target) {
    return [options = std::move(options), to](auto& stream) {
        return http_connect(stream, to, options);
    };
}

template <typename Run>
std::string written(Run run) {
    MemoryStream stream{"HTTP/1.1 200 OK\r\n\r\n"};
    run(stream);
    return stream.written();
}

std::string wrong(const std::string& answer, const HttpConnectOptions& options = {}) {
    MemoryStream stream{answer};
    return text_of_error<Unexpected>([&] { http_connect(stream, target, options); });
}

bool is_accepted(const std::string& answer, const HttpConnectOptions& options = {}) {
    const auto all = answer + "the target's";
    MemoryStream stream{all};
    return http_connect(stream, target, options) == std::nullopt &&
           stream.consumed() == answer.size();
}

std::string invalid(const HttpConnectOptions& options) {
    MemoryStream stream{"HTTP/1.1 200 OK\r\n\r\n"};
    auto text = text_of_error<InvalidConfig>([&] { http_connect(stream, target, options); });
    CHECK(stream.written().empty());
    return text;
}

} // namespace

// --- What is sent

TEST_CASE("HTTP asks by IPv4, IPv6 and name", "[http]") {
    CHECK(written(http()) == "CONNECT 192.0.2.1:80 HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n");
    CHECK(written(http({}, target6)) ==
          "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n");
    CHECK(written(http({.name = "localhost"}, target6)) ==
          "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n");
    CHECK(written(http({.version = HttpVersion::http_1_0})) ==
          "CONNECT 192.0.2.1:80 HTTP/1.0\r\nHost: 192.0.2.1:80\r\n\r\n");
    const auto scoped = Address::from_packed(Address::parse("fe80::1").packed(), 1);
    CHECK(written(http({}, {scoped, 80})).starts_with("CONNECT [fe80::1]:80 HTTP/1.1\r\n"));
}

TEST_CASE("HTTP authenticates by Basic", "[http]") {
    // RFC 7617 §2
    CHECK(written(http({.user = "Aladdin", .password = "open sesame"})) ==
          "CONNECT 192.0.2.1:80 HTTP/1.1\r\nHost: 192.0.2.1:80\r\n"
          "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
    CHECK_THAT(written(http({.user = "", .password = ""})), ContainsSubstring("Basic Og==\r\n"));
    CHECK_THAT(written(http({.user = "test", .password = "123\u00a3"})), // RFC 7617 §2.1
               ContainsSubstring("Basic dGVzdDoxMjPCow==\r\n"));
    CHECK(invalid({.user = "u"}) == "HTTP takes user and password or neither, not a user alone");
    CHECK(invalid({.password = "p"}) ==
          "HTTP takes user and password or neither, not a password alone");
    CHECK_THAT(invalid({.user = "a:b", .password = "p"}),
               StartsWith("the HTTP user contains a colon"));
    for (const auto& text : {"a\r\nb"s, "a\0"s, "\x7f"s}) {
        CHECK_THAT(invalid({.user = text, .password = "p"}),
                   ContainsSubstring("control character"));
        CHECK_THAT(invalid({.user = "u", .password = text}),
                   ContainsSubstring("control character"));
    }
}

TEST_CASE("base64 is RFC 4648's", "[http]") {
    // RFC 4648 §10
    const std::vector<std::pair<std::string, std::string>> vectors{{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"},
                                                                   {"\xff\xfe\xfd", "//79"}};
    for (const auto& [bytes, text] : vectors) {
        CHECK(detail::base64(bytes) == text);
    }
}

TEST_CASE("HTTP sends further fields, and nothing that is none", "[http]") {
    CHECK(written(http({.headers = {{"User-Agent", "test tunnel"}, {"X-Empty", ""}}})) ==
          "CONNECT 192.0.2.1:80 HTTP/1.1\r\nHost: 192.0.2.1:80\r\n"
          "User-Agent: test tunnel\r\nX-Empty: \r\n\r\n");
    CHECK(invalid({.headers = {{"A", "x\r\nB: y"}}}) ==
          "'A: x\\x0d\nB: y' is no HTTP field (RFC 9110 §5)");
    CHECK_THAT(invalid({.headers = {{"A B", "x"}}}), ContainsSubstring("is no HTTP field"));
    CHECK_THAT(invalid({.headers = {{"", "x"}}}), ContainsSubstring("is no HTTP field"));
    CHECK_THAT(invalid({.headers = {{"A:", "x"}}}), ContainsSubstring("is no HTTP field"));
}

TEST_CASE("HTTP carries names of 1 and 255 bytes, and only names", "[http]") {
    const std::string longest(255, 'x');
    CHECK(written(http({.name = longest})).starts_with("CONNECT " + longest + ":80 HTTP/1.1\r\n"));
    CHECK(written(http({.name = "x"})).starts_with("CONNECT x:80 HTTP/1.1\r\n"));
    CHECK(invalid({.name = longest + "x"}) ==
          "the HTTP name has 256 bytes, not 1 to 255 (RFC 3986 §3.2.2)");
    CHECK(invalid({.name = ""}) == "the HTTP name has 0 bytes, not 1 to 255 (RFC 3986 §3.2.2)");
    for (const auto& name : {"a b"s, "a\r\n"s, "a/b"s, "a@b"s, "a:1"s, "a\0"s, "\xc3\xa4"s}) {
        CHECK_THAT(invalid({.name = name}), StartsWith("the HTTP name '"));
    }
}

// --- What is accepted

TEST_CASE("HTTP takes any 2xx", "[http]") {
    for (int status = 200; status < 300; ++status) {
        CHECK(is_accepted(fmt::format("HTTP/1.1 {} OK\r\n\r\n", status)));
    }
    CHECK(is_accepted("HTTP/1.0 200 Connection established\r\n\r\n"));
    CHECK(is_accepted("HTTP/1.1 200 \r\n\r\n"));
    CHECK(is_accepted("HTTP/1.1 200 \xe4\tx  y \r\n\r\n"));
    CHECK(is_accepted("HTTP/1.1 200 OK\r\nVia: 1.1 x\r\nEmpty:\r\nA:\t b \xff \t\r\n\r\n"));
}

TEST_CASE("HTTP takes exactly the bytes of an answer", "[http]") {
    check_exact(http(), "HTTP/1.1 200 OK\r\n\r\n");
    check_exact(http(), "HTTP/1.1 200 \r\n\r\n");
    check_exact(http(), "HTTP/1.0 200 OK\r\nVia: 1.1 x\r\nEmpty:\r\n\r\n");
    check_exact(http(),
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: x\r\n\r\n"
                "HTTP/1.1 200 OK\r\n\r\n");
}

TEST_CASE("HTTP ignores what a 2xx says about its content", "[http]") {
    CHECK(is_accepted("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"));
    CHECK(is_accepted("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
}

TEST_CASE("HTTP passes interim answers over, but not in HTTP/1.0", "[http]") {
    const auto answer = "HTTP/1.1 102 Processing\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"s;
    CHECK(is_accepted(answer));
    CHECK_THAT(
        wrong(answer, {.version = HttpVersion::http_1_0}),
        StartsWith("expected no interim answer in HTTP/1.0 (RFC 9110 §15.2) in the answer to "
                   "CONNECT (RFC 9110 §9.3.6), got ") &&
            ContainsSubstring("wrong at offset 9"));
    CHECK_THAT(wrong("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
               ContainsSubstring("RFC 9110 §7.8"));
}

// --- What is not

TEST_CASE("HTTP throws out every wrong byte of a status line", "[http]") {
    const auto good = "HTTP/1.1 200 OK\r\n\r\n"s;
    for (std::size_t offset = 0; offset < good.size(); ++offset) {
        for (int value = 0; value < 256; ++value) {
            auto bad = good;
            bad[offset] = static_cast<char>(value);
            const bool digit = value >= '0' && value <= '9';
            const bool text = value == '\t' || (value >= ' ' && value != 0x7f);
            const bool still_good = bad == good || (offset == 7 && digit) ||
                                    ((offset == 10 || offset == 11) && digit) ||
                                    (offset >= 13 && offset <= 14 && text);
            INFO("byte " << offset << " is " << value);
            if (still_good) {
                REQUIRE(is_accepted(bad));
                continue;
            }
            const auto error = wrong(bad);
            INFO(error);
            REQUIRE(error.starts_with("expected "));
            REQUIRE(error.find("RFC 91") != std::string::npos);
            REQUIRE(error.find(fmt::format(" {:02x}", value)) != std::string::npos);
        }
    }
}

TEST_CASE("HTTP says what was wrong, and quotes it", "[http]") {
    CHECK(wrong("SSH-2.0-x\r\n") ==
          "expected 'HTTP/1.' (RFC 9112 §2.3) in the answer to CONNECT (RFC 9110 §9.3.6), got 7 "
          "bytes, wrong at offset 0\n"
          "00000000  53 53 48 2d 32 2e 30                             |SSH-2.0|");
    const std::vector<std::pair<std::string, std::string>> cases{
        {"HTTP/2.0 200 OK\r\n\r\n", "RFC 9112 §2.3"},
        {"HTTP/1.10 200 OK\r\n\r\n", "RFC 9112 §4"},
        {"HTTP/1.1  200 OK\r\n\r\n", "RFC 9112 §4"},
        {"HTTP/1.1 200\r\n\r\n", "RFC 9112 §4"},
        {"HTTP/1.1 20 OK\r\n\r\n", "RFC 9112 §4"},
        {"HTTP/1.1 2000 OK\r\n\r\n", "RFC 9112 §4"},
        {"HTTP/1.1 099 OK\r\n\r\n", "RFC 9110 §15"},
        {"HTTP/1.1 600 OK\r\n\r\n", "RFC 9110 §15"},
        {"\r\nHTTP/1.1 200 OK\r\n\r\n", "RFC 9112 §2.3"},
        {"HTTP/1.1 200 OK\n\n", "CRLF, not a bare LF (RFC 9112 §2.2)"},
        {"HTTP/1.1 200 OK\r\n\n", "CRLF, not a bare LF (RFC 9112 §2.2)"},
        {"HTTP/1.1 200 OK\r\nA: b\n\r\n", "CRLF, not a bare LF (RFC 9112 §2.2)"},
        {"HTTP/1.1 200 OK\r\n\rX", "CRLF, not a bare CR (RFC 9112 §2.2)"},
        {"HTTP/1.1 200 O\rK\r\n\r\n", "CRLF, not a bare CR (RFC 9112 §2.2)"},
        {"HTTP/1.1 200 OK\r\nA: \r\r\n\r\n", "CRLF, not a bare CR (RFC 9112 §2.2)"},
        {"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"s, "RFC 9110 §5.5"},
        {"HTTP/1.1 200 OK\r\nA: b\x1b[2J\r\n\r\n", "RFC 9110 §5.5"},
        {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "no folded line (RFC 9112 §5.2)"},
        {"HTTP/1.1 200 OK\r\n\tc: d\r\n\r\n", "no folded line (RFC 9112 §5.2)"},
        {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "RFC 9112 §5)"},
        {"HTTP/1.1 200 OK\r\n: b\r\n\r\n", "RFC 9112 §5)"},
        {"HTTP/1.1 200 OK\r\nno field\r\n\r\n", "RFC 9112 §5)"},
        {"HTTP/1.1 200 OK\r\nA\xe4: b\r\n\r\n", "RFC 9112 §5)"},
        {"HTTP/1.1 200 OK\r\nA: b\r\n", "the rest of the answer to CONNECT"},
        {"HTTP/1.1 100 Continue\r\n\r\n", "the rest of the answer to CONNECT"},
        {"HTTP/1.1 100 Continue\r\n\r\nthe target's", "RFC 9112 §2.3"},
        {"HTTP/1.1 407 x\r\n\r\n", "RFC 9110 §15.5.8"},
    };
    for (const auto& [answer, expected] : cases) {
        INFO(answer);
        const auto text = wrong(answer);
        CHECK_THAT(text, StartsWith("expected ") && ContainsSubstring(expected) &&
                             ContainsSubstring("\n000000"));
    }
}

TEST_CASE("HTTP reads 64 KiB of a header and no more", "[http]") {
    const auto header = [](std::size_t size) {
        const auto start = "HTTP/1.1 200 OK\r\nA: "s;
        return start + std::string(size - start.size() - 4, 'x') + "\r\n\r\n";
    };
    constexpr std::size_t limit = 65536;
    CHECK(is_accepted(header(limit)));
    const auto endless = header(limit * 3);
    MemoryStream stream{endless};
    CHECK_THAT(text_of_error<Unexpected>([&] { http_connect(stream, target); }),
               StartsWith("expected an end within 64 KiB in the answer to CONNECT"));
    CHECK(stream.consumed() < limit + 4);
    // Nor is there an end to what is said in the interim.
    std::string interim;
    while (interim.size() < limit * 2) {
        interim += "HTTP/1.1 100 Continue\r\n\r\n";
    }
    CHECK_THAT(wrong(interim), StartsWith("expected an end within 64 KiB"));
}

TEST_CASE("HTTP notices at once what is no answer", "[http]") {
    for (const auto& sent : {"\x05\xff"s, "HTTP/1.1 200 OK\n\n"s, "HTTP/1.1 200 OK\r\n\n"s}) {
        // Nothing follows, and nobody closes: who waited for more would wait in vain.
        support::ScriptedPeer peer{[&](Socket& socket, support::ScriptedPeer&) {
            socket.write(sent);
            static_cast<void>(socket.read(1000));
        }};
        const auto begin = Clock::now();
        CHECK_THROWS_AS(http_connect(peer.client(), target), Unexpected);
        CHECK(Clock::now() - begin < std::chrono::seconds{30});
    }
}

// --- Refusals

TEST_CASE("HTTP tells a refusal in due form from nonsense", "[http]") {
    for (int status = 300; status < 600; ++status) {
        if (status == 407) {
            continue;
        }
        const auto header = fmt::format("HTTP/1.1 {} Sorry\r\nContent-Length: 5\r\n\r\n", status);
        const auto answer = header + "sorry";
        MemoryStream stream{answer};
        try {
            http_connect(stream, target);
            FAIL("accepted");
        } catch (const HandshakeRefused& refused) {
            CHECK(refused.code() == status);
            CHECK(refused.step() ==
                  (status == 401 ? RefusedStep::authentication : RefusedStep::connect));
            CHECK(refused.expected() == "2xx in the answer to CONNECT (RFC 9110 §9.3.6)");
            CHECK_THAT(refused.actual(), StartsWith(fmt::format("'HTTP/1.1 {} Sorry': ", status)));
        }
        CHECK(stream.consumed() == header.size());
    }
    const auto answer = "HTTP/1.1 403 Forbidden\r\nA: b\r\n\r\n"s;
    for (std::size_t size = 0; size < answer.size(); ++size) {
        CHECK_THAT(wrong(answer.substr(0, size)), ContainsSubstring("then end of stream"));
    }
}

TEST_CASE("HTTP tells that it is the user who was refused", "[http]") {
    for (const std::string field : {"Proxy-Authenticate", "proxy-authenticate"}) {
        const auto answer = "HTTP/1.1 407 x\r\nA: b\r\n" + field + ": Basic realm=\"x\"\r\n\r\n";
        MemoryStream stream{answer};
        try {
            http_connect(stream, target);
            FAIL("accepted");
        } catch (const HandshakeRefused& refused) {
            CHECK(refused.code() == 407);
            CHECK(refused.step() == RefusedStep::authentication);
        }
    }
}
