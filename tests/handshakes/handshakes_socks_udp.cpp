#include <test_tunnel/handshakes/handshake_refused.hpp>
#include <test_tunnel/handshakes/socks5_udp.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "support/scripted_peer.hpp"

using namespace test_tunnel;
using namespace std::string_literals;
using namespace std::string_view_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using support::check_exact;
using support::from_memory;
using support::MemoryStream;
using support::text_of_error;

namespace {

const Endpoint target{Address::parse("192.0.2.1"), 0x1234};
const Endpoint target6{Address::parse("2001:db8::1"), 0x1234};
const std::string ipv4_header = "\0\0\0\x01\xc0\0\x02\x01\x12\x34"s;
const std::string ipv6_header = "\0\0\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x34"s;
const std::string name_header = "\0\0\0\x03\x04host\x12\x34"s;
const std::string reply = "\x05\x00\x05\x00\x00\x01\xc0\x00\x02\x07\x10\x01"s;

/// A generic lambda, so that it runs on a Socket and from memory.
auto associate(const Endpoint& client, Socks5Options options = {}) {
    return [client, options = std::move(options)](auto& stream) {
        return socks5_associate(stream, client, options);
    };
}

template <typename Run>
std::string written(Run run, std::string_view from) {
    MemoryStream stream{from};
    run(stream);
    return stream.written();
}

std::string rejection(std::string_view datagram) {
    return text_of_error<Unexpected>([&] { read_socks5_datagram(datagram); });
}

} // namespace

// --- The request

TEST_CASE("SOCKS5 asks for an association by where the client is, or by zeros", "[socks5]") {
    const auto greeting = "\x05\x01\x00"s;
    CHECK(written(associate(target), reply) ==
          greeting + "\x05\x03\x00\x01\xc0\x00\x02\x01\x12\x34"s);
    CHECK(written(associate(target6), reply) == greeting + "\x05\x03\x00"s + ipv6_header.substr(3));
    CHECK(written(associate({}), reply) == greeting + "\x05\x03\x00\x01\0\0\0\0\0\0"s);
    CHECK(written(associate({}, {.user = "u", .password = "p"}),
                  "\x05\x02\x01\x00"s + reply.substr(2)) ==
          "\x05\x01\x02\x01\x01u\x01p\x05\x03\x00\x01\0\0\0\0\0\0"s);
}

TEST_CASE("SOCKS5 returns the relay as it was told, and takes exactly its bytes", "[socks5]") {
    CHECK(from_memory(associate({}), reply) == Endpoint{Address::parse("192.0.2.7"), 0x1001});
    CHECK(from_memory(associate({}), "\x05\x00\x05\x00\x00\x01\0\0\0\0\x10\x01"s) ==
          Endpoint{Address{}, 0x1001});
    CHECK(from_memory(associate({}), "\x05\x00\x05\x00\x00\x03\x05proxy\x10\x01"s) == std::nullopt);
    check_exact(associate({}), reply);
}

TEST_CASE("SOCKS5 tells that an association was refused", "[socks5]") {
    try {
        from_memory(associate({}), "\x05\x00\x05\x07\x00\x01\0\0\0\0\0\0"s);
        FAIL("accepted");
    } catch (const HandshakeRefused& refused) {
        CHECK(refused.step() == RefusedStep::connect);
        CHECK(refused.code() == 7);
        CHECK_THAT(refused.what(), ContainsSubstring("the reply to UDP ASSOCIATE (RFC 1928 §6)") &&
                                       ContainsSubstring("'command not supported' (0x07)"));
    }
    CHECK_THROWS_AS(from_memory(associate({}), "\x05\xff"sv), HandshakeRefused);
    CHECK_THAT(text_of_error<Unexpected>(
                   [] { from_memory(associate({}), "\x05\x00\x05\x00\x00\x01\x7f"sv); }),
               StartsWith("expected the rest of the reply to UDP ASSOCIATE (RFC 1928 §6)"));
}

// --- The header of a datagram

TEST_CASE("a datagram for SOCKS5 names its target by IPv4, IPv6 and name", "[socks5]") {
    CHECK(socks5_datagram(target, "data") == ipv4_header + "data");
    CHECK(socks5_datagram(target6, "data") == ipv6_header + "data");
    CHECK(socks5_datagram(target, "data", "host") == name_header + "data");
    CHECK(socks5_datagram(target, "") == ipv4_header);
    CHECK(socks5_datagram(target, "", std::string(255, 'x')).size() == 4 + 1 + 255 + 2);
    for (const std::size_t size : {0U, 256U}) {
        CHECK_THAT(text_of_error<InvalidConfig>(
                       [&] { socks5_datagram(target, "", std::string(size, 'x')); }),
                   StartsWith(fmt::format("the SOCKS5 name has {} bytes", size)));
    }
}

TEST_CASE("a datagram from SOCKS5 is read as it was written", "[socks5]") {
    for (const auto& data : {""s, "d"s, "\0\0\0\x01"s, std::string(65000, 'x')}) {
        for (const auto& to : {target, target6}) {
            CHECK(read_socks5_datagram(socks5_datagram(to, data)) ==
                  Socks5Datagram{.fragment = 0, .endpoint = to, .name = {}, .data = data});
        }
        const auto named = read_socks5_datagram(socks5_datagram(target, data, "host"));
        CHECK(named == Socks5Datagram{.fragment = 0,
                                      .endpoint = {Address{}, target.port},
                                      .name = "host",
                                      .data = data});
        CHECK(named.peer() == "host:4660");
    }
    CHECK(read_socks5_datagram(ipv6_header).peer() == "[2001:db8::1]:4660");
    auto fragment = ipv4_header;
    fragment[2] = '\x81';
    CHECK(read_socks5_datagram(fragment).fragment == 0x81);
}

TEST_CASE("a datagram from SOCKS5 that is cut off in its header says where", "[socks5]") {
    for (const auto& header : {ipv4_header, ipv6_header, name_header}) {
        for (std::size_t size = 0; size < header.size(); ++size) {
            INFO(size << " of " << header.size() << " bytes");
            const auto text = rejection(std::string_view{header}.substr(0, size));
            REQUIRE_THAT(text, ContainsSubstring("in the header of a datagram (RFC 1928 §7)"));
            REQUIRE_THAT(text,
                         ContainsSubstring(fmt::format("{} byte{}", size, size == 1 ? "" : "s")));
        }
    }
    CHECK_THAT(rejection(""), StartsWith("expected two reserved bytes in "));
    CHECK_THAT(rejection(ipv4_header.substr(0, 9)), StartsWith("expected a port of 2 bytes in "));
    CHECK_THAT(rejection(name_header.substr(0, 7)),
               StartsWith("expected a domain name of 4 bytes in "));
}

TEST_CASE("a datagram from SOCKS5 throws out every wrong byte of its header", "[socks5]") {
    for (const std::size_t offset : {0U, 1U, 3U}) {
        for (int value = 0; value < 256; ++value) {
            auto bad = ipv4_header + std::string(300, 'x'); // long enough for whatever it says
            bad[offset] = static_cast<char>(value);
            const bool is_good =
                value == 0 ? offset != 3 : offset == 3 && (value == 1 || value == 4);
            const bool is_name = offset == 3 && value == 3;
            INFO("byte " << offset << " is " << value);
            if (is_good) {
                REQUIRE_NOTHROW(read_socks5_datagram(bad));
            } else if (is_name) {
                REQUIRE_THAT(rejection(bad), ContainsSubstring("a domain name without a NUL"));
            } else {
                REQUIRE_THAT(rejection(bad), ContainsSubstring(fmt::format(" {:02x}", value)));
            }
        }
    }
    CHECK_THAT(rejection("\0\0\0\x03\0\x12\x34"sv),
               StartsWith("expected a domain name of at least 1 byte in "));
}
