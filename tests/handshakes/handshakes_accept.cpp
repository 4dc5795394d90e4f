#include <test_tunnel/handshakes/http_accept.hpp>
#include <test_tunnel/handshakes/protocol.hpp>
#include <test_tunnel/handshakes/socks4_accept.hpp>
#include <test_tunnel/handshakes/socks5_accept.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/memory_stream.hpp"
#include "support/scripted_peer.hpp"

using namespace test_tunnel;
using namespace std::string_literals;
using Catch::Matchers::ContainsSubstring;
using support::MemoryStream;
using support::text_of_error;

namespace {

const Endpoint target{Address::parse("192.0.2.1"), 0x1234};
const Endpoint target6{Address::parse("2001:db8::1"), 0x1234};
const AcceptOptions by_name{.names = {"host.test", "h"}};
const AcceptOptions with_user{.names = {"host.test"}, .user = "u", .password = "p"};

/// What a server's part of a handshake returns, says, and leaves unread.
struct Seen {
    Asked asked;
    std::string written;
    std::size_t left = 0;
};

template <typename Accept>
Seen seen(Accept accept, const std::string& said, const Endpoint& to,
          const AcceptOptions& options) {
    MemoryStream stream{said};
    Seen result{.asked = accept(stream, to, options), .written = {}};
    result.written = stream.written();
    result.left = said.size() - stream.consumed();
    // However it is cut up.
    MemoryStream pieces{said, 1};
    accept(pieces, to, options);
    CHECK(pieces.written() == result.written);
    return result;
}

constexpr auto socks5 = [](auto& stream, const Endpoint& to, const AcceptOptions& options) {
    return socks5_accept(stream, to, options);
};
constexpr auto socks4 = [](auto& stream, const Endpoint& to, const AcceptOptions& options) {
    return socks4_accept(stream, to, options);
};
constexpr auto http = [](auto& stream, const Endpoint& to, const AcceptOptions& options) {
    return http_accept(stream, to, options);
};

/// What is told of a client that says something wrong, and what that client is answered.
template <typename Accept>
std::pair<std::string, std::string> told(Accept accept, const std::string& said,
                                         const Endpoint& to = target,
                                         const AcceptOptions& options = by_name) {
    MemoryStream stream{said};
    const auto text = text_of_error<Unexpected>([&] { accept(stream, to, options); });
    return {text, stream.written()};
}

const std::string greeting = "\x05\x01\x00"s;
const std::string request = "\x05\x01\x00\x01\xc0\x00\x02\x01\x12\x34"s;

} // namespace

// --- SOCKS5

TEST_CASE("a SOCKS5 server grants what is asked by address or by name", "[socks5]") {
    const auto granted = "\x05\x00\x05\x00\x00\x01\xc0\x00\x02\x01\x12\x34"s;
    const auto by_address = seen(socks5, greeting + request + "data", target, {});
    CHECK(by_address.asked.address == target.address);
    CHECK(by_address.asked.port == target.port);
    CHECK(by_address.asked.name.empty());
    CHECK_FALSE(by_address.asked.user.has_value());
    CHECK(by_address.written == granted);
    CHECK(by_address.left == 4);

    const auto named =
        seen(socks5, greeting + "\x05\x01\x00\x03\x09HOST.test\x12\x34"s, target, by_name);
    CHECK(named.asked.name == "HOST.test");
    CHECK_FALSE(named.asked.address.has_value());
    CHECK(named.asked.text() == "HOST.test:4660");

    const auto literal = seen(socks5,
                              greeting +
                                  "\x05\x01\x00\x03\x09"
                                  "192.0.2.1\x12\x34"s,
                              target, {});
    CHECK(literal.asked.address == target.address);
    CHECK(literal.asked.name == "192.0.2.1");

    const auto ipv6 = seen(
        socks5, greeting + "\x05\x01\x00\x04"s + std::string{target6.address.packed()} + "\x12\x34",
        target6, {});
    CHECK(ipv6.asked.address == target6.address);
}

TEST_CASE("a SOCKS5 server says what it is told to say of the outgoing side", "[socks5]") {
    CHECK(seen(socks5, greeting + request, target, {.bound = target6}).written ==
          "\x05\x00\x05\x00\x00\x04"s + std::string{target6.address.packed()} + "\x12\x34");
}

TEST_CASE("a SOCKS5 server demands the user that is declared", "[socks5]") {
    const auto served =
        seen(socks5, "\x05\x03\x00\x01\x02\x01\x01u\x01p"s + request, target, with_user);
    CHECK(served.asked.user == "u");
    CHECK(served.written.starts_with("\x05\x02\x01\x00\x05\x00"s));

    const auto [no_method, refused] = told(socks5, greeting + request, target, with_user);
    CHECK_THAT(no_method, ContainsSubstring("user and password (0x02) among the methods in the "
                                            "method selection message (RFC 1928 §3)"));
    CHECK(refused == "\x05\xff");
    for (const auto& wrong : {"\x01\x01x\x01p"s, "\x01\x01u\x01x"s, "\x01\x02ux\x01p"s}) {
        const auto [text, answer] = told(socks5, "\x05\x01\x02"s + wrong, target, with_user);
        CHECK_THAT(text, ContainsSubstring("that are declared in user and password (RFC 1929 §2)"));
        CHECK(answer == "\x05\x02\x01\x01"s);
    }
    for (const auto& empty : {"\x01\x00\x01p"s, "\x01\x01u\x00"s}) {
        CHECK_THAT(told(socks5, "\x05\x01\x02"s + empty, target, with_user).first,
                   ContainsSubstring("of at least 1 byte in user and password (RFC 1929 §2)"));
    }
    CHECK_THAT(told(socks5, "\x05\x01\x02\x02\x01u\x01p"s, target, with_user).first,
               ContainsSubstring("version 1 in user and password (RFC 1929 §2)"));
    // Without a user, it is not asked for one.
    CHECK_THAT(told(socks5, "\x05\x01\x02"s).first,
               ContainsSubstring("no authentication (0x00) among the methods"));
}

TEST_CASE("a SOCKS5 server tells each way to ask wrongly", "[socks5]") {
    const std::vector<std::pair<std::string, std::string>> wrong{
        {"\x04\x01\x00"s, "version 5 in the method selection message (RFC 1928 §3)"},
        {"\x05\x00"s, "at least 1 method in the method selection message (RFC 1928 §3)"},
        {greeting + "\x04", "version 5 in the request (RFC 1928 §4)"},
        {greeting + "\x05\x02\x00\x01"s, "CONNECT (0x01) in the request (RFC 1928 §4)"},
        {greeting + "\x05\x03\x00\x01"s, "CONNECT (0x01) in the request (RFC 1928 §4)"},
        {greeting + "\x05\x01\x01", "0x00 as the reserved byte in the request (RFC 1928 §4)"},
        {greeting + "\x05\x01\x00\x02"s, "an address type of 0x01, 0x03 or 0x04"},
        {greeting + "\x05\x01\x00\x03\x00"s, "a domain name of at least 1 byte (§5)"},
        {greeting + "\x05\x01\x00\x03\x02h\x00\x12\x34"s, "a domain name without a NUL (§5)"},
        {greeting + "\x05\x01\x00\x03\x05other\x12\x34"s,
         "the target 192.0.2.1:4660 or host.test:4660 in the request (RFC 1928 §4), got "
         "other:4660"},
        {greeting + "\x05\x01\x00\x01\xc0\x00\x02\x01\x12\x35"s, "192.0.2.1:4661"},
        {greeting + "\x05\x01\x00\x01\xc0\x00\x02\x02\x12\x34"s, "192.0.2.2:4660"},
        {greeting + "\x05\x01\x00\x04"s + std::string{target6.address.packed()} + "\x12\x34",
         "[2001:db8::1]:4660"},
    };
    for (const auto& [said, text] : wrong) {
        CHECK_THAT(told(socks5, said).first, ContainsSubstring(text));
    }
}

TEST_CASE("a SOCKS5 server says in due form that it refuses", "[socks5]") {
    const auto none = "\x00\x01\x00\x00\x00\x00\x00\x00"s;
    CHECK(told(socks5, greeting + "\x05\x02\x00\x01"s).second == "\x05\x00\x05\x07"s + none);
    CHECK(told(socks5, greeting + "\x05\x01\x00\x05"s).second == "\x05\x00\x05\x08"s + none);
    CHECK(told(socks5, greeting + "\x05\x01\x00\x03\x01x\x12\x34"s).second ==
          "\x05\x00\x05\x02"s + none);
}

// --- SOCKS4

TEST_CASE("a SOCKS4 server grants what is asked by address or by name", "[socks4]") {
    const auto plain = seen(socks4, "\x04\x01\x12\x34\xc0\x00\x02\x01user\0data"s, target, {});
    CHECK(plain.asked.address == target.address);
    CHECK(plain.asked.user == "user");
    CHECK(plain.written == "\x00\x5a\x12\x34\xc0\x00\x02\x01"s);
    CHECK(plain.left == 4);
    const auto named = seen(socks4, "\x04\x01\x12\x34\0\0\0\x01\0host.test\0"s, target6, by_name);
    CHECK(named.asked.name == "host.test");
    CHECK(named.written == "\x00\x5a\0\0\0\0\0\0"s);
    CHECK(seen(socks4, "\x04\x01\x12\x34\xc0\x00\x02\x01u\0"s, target, {.user = "u"}).asked.user ==
          "u");
}

TEST_CASE("a SOCKS4 server tells each way to ask wrongly", "[socks4]") {
    const std::string head = "\x04\x01\x12\x34"s;
    const std::vector<std::pair<std::string, std::string>> wrong{
        {"\x05", "version 4 in the request (SOCKS4 §1)"},
        {"\x04\x02", "CONNECT (1) in the request (SOCKS4 §1)"},
        {head + "\xc0\x00\x02\x01"s + std::string(256, 'u'),
         "a NUL after a user id of at most 255"},
        {head + "\0\0\0\x01\0\0"s, "a name of at least 1 byte (SOCKS4A)"},
        {head + "\0\0\0\x01\0other\0"s, "other:4660"},
        {head + "\xc0\x00\x02\x02\0"s, "192.0.2.2:4660"},
        {"\x04\x01\x12\x35\xc0\x00\x02\x01\0"s, "192.0.2.1:4661"},
        {head + "\0\0\0\0\0"s, "0.0.0.0:4660"},
    };
    for (const auto& [said, text] : wrong) {
        CHECK_THAT(told(socks4, said).first, ContainsSubstring(text));
    }
    const auto [text, answer] = told(socks4, head + "\xc0\x00\x02\x01x\0"s, target, {.user = "u"});
    CHECK_THAT(text, ContainsSubstring("the user id that is declared in the request (SOCKS4 §1)"));
    CHECK(answer == "\x00\x5d\0\0\0\0\0\0"s);
}

// --- HTTP

TEST_CASE("an HTTP proxy grants what is asked by address or by name", "[http]") {
    const auto plain = seen(http,
                            "CONNECT 192.0.2.1:4660 HTTP/1.1\r\nHost: 192.0.2.1:4660\r\n"
                            "User-Agent: x\r\n\r\ndata",
                            target, {});
    CHECK(plain.asked.address == target.address);
    CHECK(plain.written == "HTTP/1.1 200 Connection established\r\n\r\n");
    CHECK(plain.left == 4);
    CHECK(seen(http, "CONNECT [2001:db8::1]:4660 HTTP/1.0\r\n\r\n", target6, {}).asked.address ==
          target6.address);
    CHECK(seen(http, "CONNECT Host.Test:4660 HTTP/1.1\r\nhost:\thost.test:4660 \r\n\r\n", target6,
               by_name)
              .asked.name == "Host.Test");
}

TEST_CASE("an HTTP proxy tells of a Host that is not the target", "[http]") {
    const auto asked =
        seen(http, "CONNECT 192.0.2.1:4660 HTTP/1.1\r\nHost: other\r\n\r\n", target, {}).asked;
    CHECK(asked.other_host == "other");
    CHECK(asked.address == target.address);
}

TEST_CASE("an HTTP proxy demands the user that is declared", "[http]") {
    const std::string begin = "CONNECT 192.0.2.1:4660 HTTP/1.0\r\n";
    for (const auto* const field :
         {"Proxy-Authorization: Basic dTpw", "proxy-authorization:basic   dTpw"}) {
        CHECK(seen(http, begin + field + "\r\n\r\n", target, with_user).asked.user == "u");
    }
    // It is told, once, where there is none.
    const auto asked =
        seen(http, begin + "\r\n" + begin + "Proxy-Authorization: Basic dTpw\r\n\r\n", target,
             with_user);
    CHECK_THAT(asked.written, ContainsSubstring("HTTP/1.1 407 ") &&
                                  ContainsSubstring("Proxy-Authenticate: Basic") &&
                                  ContainsSubstring("HTTP/1.1 200 "));
    for (const std::string& wrong : {begin + "Proxy-Authorization: Basic dTpx\r\n\r\n",
                                     fmt::format("{}\r\n{}\r\n", begin, begin),
                                     begin + "Proxy-Authorization: Bearer dTpw\r\n\r\n",
                                     begin + "Proxy-Authorization: BasicdTpw\r\n\r\n",
                                     begin + "Proxy-Authorization: \r\n\r\n"}) {
        const auto [text, answer] = told(http, wrong, target, with_user);
        CHECK_THAT(text, ContainsSubstring("that are declared (RFC 7617 §2)"));
        CHECK_THAT(answer, ContainsSubstring("HTTP/1.1 403 "));
    }
    CHECK_THAT(told(http, begin + "Proxy-Authorization: Basic dTpw\r\n\r\n").first,
               ContainsSubstring("no Proxy-Authorization, since no user is declared"));
    CHECK_THAT(told(http,
                    begin + "Proxy-Authorization: Basic dTpw\r\nProxy-Authorization: Basic dTpw"
                            "\r\n\r\n",
                    target, with_user)
                   .first,
               ContainsSubstring("Proxy-Authorization once"));
}

TEST_CASE("an HTTP proxy tells each way to ask wrongly", "[http]") {
    const auto with = [](const std::string& authority) {
        return "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n";
    };
    const std::string brackets =
        "an IPv6 address in brackets, and nothing else in them (RFC 3986 "
        "§3.2.2)";
    const std::string port = "a target such as '192.0.2.1:443' (RFC 9112 §3.2.3), with its port";
    const std::vector<std::pair<std::string, std::string>> wrong{
        {"GET / HTTP/1.1\r\n", "'CONNECT ' (RFC 9110 §9.3.6)"},
        {"connect ", "'CONNECT ' (RFC 9110 §9.3.6)"},
        {with("2001:db8::1:4660"), brackets},
        {with("[192.0.2.1]:4660"), brackets},
        {with("[host.test]:4660"), brackets},
        {with("[2001:db8::1:4660"), brackets},
        {with("192.0.2.1"), port},
        {with("192.0.2.1:"), port},
        {with("192.0.2.1:66000"), port},
        {with("192.0.2.1:4660x"), port},
        {with(":4660"), "a target with a host (RFC 9112 §3.2.3)"},
        {with("192.0.2.1:4661"), "192.0.2.1:4661"},
        {with("other:4660"), "the target 192.0.2.1:4660 or host.test:4660"},
        {"CONNECT 192.0.2.1:4660\r\n\r\n", "(RFC 9112 §3)"},
        {"CONNECT 192.0.2.1:4660 HTTP/2.0\r\n\r\n", "(RFC 9112 §3)"},
        {"CONNECT 192.0.2.1:4660  HTTP/1.1\r\n\r\n", "(RFC 9112 §3)"},
        {"CONNECT 192.0.2.1:4660 HTTP/1.1\r\n\r\n", "Host, once, in HTTP/1.1 (RFC 9112 §3.2)"},
        {"CONNECT 192.0.2.1:4660 HTTP/1.1\n", "CRLF, not a bare LF (RFC 9112 §2.2)"},
        {"CONNECT 192.0.2.1:4660 HTTP/1.1\r\nHost 192.0.2.1\r\n\r\n", "a field such as"},
        {"CONNECT 192.0.2.1:4660 HTTP/1.1\r\nHost: 192.0.2.1:4660\r\n x\r\n\r\n",
         "no folded line (RFC 9112 §5.2)"},
    };
    for (const auto& [said, text] : wrong) {
        INFO(said);
        CHECK_THAT(told(http, said).first, ContainsSubstring(text));
    }
}

TEST_CASE("what a server says to a wrong request of HTTP has a form", "[http]") {
    CHECK(told(http, "CONNECT 2001:db8::1:4660 HTTP/1.0\r\n\r\n", target6).second ==
          "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    CHECK_THAT(told(http, "CONNECT other:4660 HTTP/1.0\r\n\r\n").second,
               ContainsSubstring("HTTP/1.1 403 Forbidden\r\n"));
}

// --- All of them

TEST_CASE("each protocol's two ends understand each other", "[handshakes]") {
    const std::vector<Protocol> all{
        Socks5Options{},
        Socks5Options{.user = "u", .password = "p"},
        Socks5Options{.name = "host.test"},
        Socks4Options{.user = "u"},
        Socks4Options{.name = "host.test"},
        HttpConnectOptions{},
        HttpConnectOptions{.user = "u", .password = "p"},
        HttpConnectOptions{.name = "host.test", .version = HttpVersion::http_1_0}};
    for (const auto& protocol : all) {
        std::string asked;
        support::ScriptedPeer peer{[&](Socket& socket, support::ScriptedPeer&) {
            asked = accept_handshake(socket, target, protocol, {"host.test"}).text();
        }};
        shake_hands(peer.client(), target, protocol);
        CHECK(peer.finish().empty());
        CHECK((asked == "192.0.2.1:4660" || asked == "host.test:4660"));
    }
}
