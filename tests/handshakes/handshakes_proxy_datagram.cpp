#include <test_tunnel/handshakes/proxy_datagram.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstddef>
#include <string>
#include <string_view>

#include "support/scripted_peer.hpp"

using namespace test_tunnel;
using namespace std::string_literals;
using Catch::Matchers::ContainsSubstring;
using support::text_of_error;

namespace {

const std::string signature = "\r\n\r\n\0\r\nQUIT\n"s;
const Endpoint client{Address::parse("192.0.2.1"), 0x1234};
const Endpoint server{Address::parse("192.0.2.2"), 0x35};
const Endpoint client6{Address::parse("2001:db8::1"), 0x1234};
const Endpoint server6{Address::parse("2001:db8::2"), 0x35};

std::string rejection(std::string_view datagram) {
    return text_of_error<Unexpected>([&] { read_proxy_datagram(datagram); });
}

} // namespace

TEST_CASE("a PROXY header of a datagram says DGRAM", "[proxy]") {
    CHECK(proxy_datagram(client, server, "data") ==
          signature + "\x21\x12\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x12\x34\x00\x35"s + "data");
    const auto over_ipv6 = proxy_datagram(client6, server6, "");
    CHECK(over_ipv6.size() == 16 + 36);
    CHECK(over_ipv6.substr(12, 4) == "\x21\x22\x00\x24"s);
    CHECK_THROWS_AS(proxy_datagram(client, server6, ""), InvalidConfig);
}

TEST_CASE("a datagram behind a PROXY header is read as it was written", "[proxy]") {
    for (const auto& data : {""s, "data"s, signature, std::string(60000, 'x')}) {
        CHECK(read_proxy_datagram(proxy_datagram(client, server, data)) ==
              ProxyDatagram{.source = client, .destination = server, .data = data});
        CHECK(read_proxy_datagram(proxy_datagram(client6, server6, data)) ==
              ProxyDatagram{.source = client6, .destination = server6, .data = data});
    }
    CHECK(read_proxy_datagram(signature + "\x20\x00\x00\x00"s + "data") ==
          ProxyDatagram{.source = {}, .destination = {}, .data = "data"});
}

TEST_CASE("a PROXY header of a connection, or half of one, begins no datagram", "[proxy]") {
    const auto good = proxy_datagram(client, server, "data");
    auto of_connection = good;
    of_connection[13] = '\x11';
    CHECK_THAT(rejection(of_connection), ContainsSubstring("UDP over IPv4 (0x12)"));
    for (std::size_t size = 0; size < good.size() - 4; ++size) {
        REQUIRE_THAT(rejection(good.substr(0, size)), ContainsSubstring("then end of stream"));
    }
    CHECK_FALSE(rejection("data").empty());
}
