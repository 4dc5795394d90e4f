#include <net/if.h>
#include <sys/un.h>
#include <test_tunnel/net/address.hpp>
#include <test_tunnel/net/detail/socket_address.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace test_tunnel;
using namespace std::string_view_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

/// Refused, by an error that says `words`.
void check_refused(std::string_view text, const std::string& words) {
    INFO("parse '" << text << '\'');
    CHECK_THROWS_MATCHES(Address::parse(text), InvalidAddress,
                         MessageMatches(ContainsSubstring(words)));
}

} // namespace

TEST_CASE("a family has an id and a prefix length, any other is refused", "[address]") {
    CHECK(family_id(Family::ipv4) == '4');
    CHECK(family_id(AF_INET6) == '6');
    CHECK(prefix_length(Family::ipv4) == 32);
    CHECK(prefix_length(AF_INET6) == 128);
    CHECK_THROWS_AS(family_id(AF_UNIX), UnsupportedAddressFamily);
    CHECK_THROWS_AS(prefix_length(AF_UNSPEC), UnsupportedAddressFamily);
}

TEST_CASE("a family's id is known at compile time", "[address]") {
    STATIC_REQUIRE(family_id(Family::ipv6) == '6');
    STATIC_REQUIRE(prefix_length(AF_INET) == 32);
}

TEST_CASE("an unsupported family is named by its number", "[address]") {
    CHECK_THROWS_MATCHES(family_id(AF_UNIX), UnsupportedAddressFamily,
                         MessageMatches(ContainsSubstring(fmt::format(" {}:", AF_UNIX))));
}

TEST_CASE("an IPv4 address is parsed", "[address]") {
    const auto address = Address::parse("192.0.2.1");
    CHECK(address.family() == Family::ipv4);
    CHECK(address.packed() == "\xc0\x00\x02\x01"sv);
    CHECK(address.scope() == 0);
    CHECK(address.text() == "192.0.2.1");
    CHECK(address.bracketed() == "192.0.2.1");
}

TEST_CASE("an IPv6 address is parsed, and its text is the short one", "[address]") {
    const auto address = Address::parse("2001:0DB8:0:0::0001");
    CHECK(address.family() == Family::ipv6);
    CHECK(address.packed() == "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"sv);
    CHECK(address.scope() == 0);
    CHECK(address.text() == "2001:db8::1");
    CHECK(address.bracketed() == "[2001:db8::1]");
}

TEST_CASE("the longest IPv6 text is neither cut nor refused", "[address]") {
    const auto* const text = "2001:db85:85a3:8d3f:1319:8a2e:3703:7344";
    CHECK(Address::parse(text).text() == text);
    CHECK(Address::parse("::ffff:192.0.2.128").family() == Family::ipv6);
    CHECK(Address::parse("::ffff:192.0.2.128").text() == "::ffff:192.0.2.128");
}

TEST_CASE("an address by default is 0.0.0.0", "[address]") {
    CHECK(Address{} == Address::parse("0.0.0.0"));
    CHECK(Address{}.text() == "0.0.0.0");
}

TEST_CASE("a link-local address has a scope, by name or by number", "[address]") {
    const auto index = if_nametoindex("lo");
    REQUIRE(index != 0);
    const auto by_name = Address::parse("fe80::1%lo");
    CHECK(by_name.scope() == index);
    CHECK(by_name == Address::parse(fmt::format("fe80::1%{}", index)));
    CHECK(by_name.text() == "fe80::1%lo");
    CHECK(by_name.bracketed() == "[fe80::1%lo]");
    CHECK(Address::parse("febf:ffff::1%lo").scope() == index);
}

TEST_CASE("the scope of an interface that is gone is shown by its number", "[address]") {
    const auto address = Address::parse("fe80::1%4000000000");
    CHECK(address.scope() == 4'000'000'000U);
    CHECK(address.text() == "fe80::1%4000000000");
}

TEST_CASE("a link-local address may come without a scope", "[address]") {
    CHECK(Address::parse("fe80::1").scope() == 0);
    CHECK(Address::parse("fe80::1").text() == "fe80::1");
}

TEST_CASE("a text that is no address is refused and named", "[address]") {
    for (const auto* const text :
         {"1.2.3", "1.2.3.4.5", "256.0.0.1", "0x7f.1", " 127.0.0.1", "127.0.0.1 ", "localhost",
          ":::", "1:2:3:4:5:6:7", "12345::", "[::1]", "127.0.0.1:80", "127.0.0.1/8", "::1/128"}) {
        check_refused(text, fmt::format("'{}'", text));
    }
    check_refused("", "'' is no IPv4 or IPv6 address");
}

TEST_CASE("a scope is refused where the address is no link-local one", "[address]") {
    check_refused("::1%lo", "'::1%lo': only a link-local address");
    check_refused("2001:db8::1%1", "'2001:db8::1%1': only a link-local address");
    check_refused("fec0::1%lo", "only a link-local address");
    check_refused("127.0.0.1%lo", "'127.0.0.1%lo'");
}

TEST_CASE("a scope that names no interface is refused and named", "[address]") {
    check_refused("fe80::1%nosuch0", "'nosuch0' in 'fe80::1%nosuch0'");
    check_refused("fe80::1%", "'' in 'fe80::1%'");
    check_refused("fe80::1%0", "'0'");
    check_refused("fe80::1%-1", "'-1'");
    check_refused("fe80::1%1 ", "'1 '");
    check_refused("fe80::1%1%1", "'1%1'");
    check_refused("fe80::1%4294967296", "'4294967296'");
}

TEST_CASE("a text with a NUL byte is refused, wherever it stands", "[address]") {
    check_refused("127.0.0.1\0"sv, "NUL byte");
    check_refused("\0"sv, "NUL byte");
    check_refused("fe80::1%lo\0x"sv, "fe80::1%lo\\x00x");
}

TEST_CASE("a text that is refused can't write to the terminal", "[address]") {
    check_refused("\x1b[2J", "'\\x1b[2J'");
    check_refused("fe80::1%\x1b[2J", "'\\x1b[2J'");
}

TEST_CASE("an address is made of its packed form", "[address]") {
    CHECK(Address::from_packed("\x7f\0\0\x01"sv) == Address::parse("127.0.0.1"));
    CHECK(Address::from_packed("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"sv) == Address::parse("::1"));
    for (const auto* const text :
         {"0.0.0.0", "255.255.255.255", "::", "2001:db8::1", "fe80::1%1"}) {
        const auto address = Address::parse(text);
        CHECK(Address::from_packed(address.packed(), address.scope()) == address);
    }
}

TEST_CASE("a packed form has 4 or 16 bytes, any other number is refused and named", "[address]") {
    for (const std::size_t size : {0U, 1U, 3U, 5U, 15U, 17U}) {
        CHECK_THROWS_MATCHES(Address::from_packed(std::string(size, '\x01')), InvalidAddress,
                             MessageMatches(ContainsSubstring(fmt::format("not {}", size))));
    }
}

TEST_CASE("the scope of a packed form is kept for link-local addresses only", "[address]") {
    CHECK(Address::from_packed(Address::parse("fe80::1").packed(), 7).scope() == 7);
    CHECK(Address::from_packed(Address::parse("2001:db8::1").packed(), 7).scope() == 0);
    CHECK(Address::from_packed(Address::parse("192.0.2.1").packed(), 7).scope() == 0);
}

TEST_CASE("an address comes back from a socket address", "[address]") {
    for (const auto* const text : {"192.0.2.1", "2001:db8::1", "fe80::1%1"}) {
        const Endpoint endpoint{Address::parse(text), 6374};
        detail::SocketAddress address{endpoint};
        CHECK(Address::from_sockaddr(*address.data()) == endpoint.address);
        CHECK(address.endpoint() == endpoint);
        CHECK(*address.length() == (endpoint.address.family() == Family::ipv4
                                        ? sizeof(sockaddr_in)
                                        : sizeof(sockaddr_in6)));
    }
}

TEST_CASE("a socket address of another family is refused", "[address]") {
    sockaddr_storage storage{};
    storage.ss_family = AF_UNIX;
    CHECK_THROWS_AS(Address::from_sockaddr(reinterpret_cast<const sockaddr&>(storage)), // NOLINT
                    UnsupportedAddressFamily);
    CHECK_THROWS_AS(detail::SocketAddress{}.endpoint(), UnsupportedAddressFamily);
}

TEST_CASE("addresses are ordered by family, by bytes as unsigned ones, by scope", "[address]") {
    std::vector<Address> sorted;
    for (const auto* const text : {"0.0.0.0", "10.0.0.2", "10.0.0.10", "127.255.255.255",
                                   "128.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::1",
                                   "fe80::1", "fe80::1%1", "fe80::1%2", "fe80::2%1", "ff02::1"}) {
        sorted.push_back(Address::parse(text));
    }
    auto shuffled = sorted;
    std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937{6374}); // NOLINT: repeatable
    std::sort(shuffled.begin(), shuffled.end());
    CHECK(shuffled == sorted);
}

TEST_CASE("addresses that differ only in scope are different ones", "[address]") {
    CHECK(Address::parse("fe80::1%1") != Address::parse("fe80::1%2"));
    CHECK(Address::parse("fe80::1%1") < Address::parse("fe80::1%2"));
    CHECK(Address::parse("127.0.0.1") != Address::parse("::ffff:127.0.0.1"));
}

TEST_CASE("special addresses are recognized", "[address]") {
    CHECK(Address::parse("0.0.0.0").is_unspecified());
    CHECK(Address::parse("::").is_unspecified());
    CHECK_FALSE(Address::parse("0.0.0.1").is_unspecified());
    CHECK_FALSE(Address::parse("::1").is_unspecified());

    CHECK(Address::parse("127.0.0.1").is_loopback());
    CHECK(Address::parse("127.255.255.254").is_loopback());
    CHECK(Address::parse("::1").is_loopback());
    CHECK_FALSE(Address::parse("128.0.0.1").is_loopback());
    CHECK_FALSE(Address::parse("7f00::1").is_loopback());
    CHECK_FALSE(Address::parse("::2").is_loopback());

    CHECK(Address::parse("fe80::1").is_link_local());
    CHECK(Address::parse("febf::1").is_link_local());
    CHECK_FALSE(Address::parse("fec0::1").is_link_local());
    CHECK_FALSE(Address::parse("fe7f::1").is_link_local());
    CHECK_FALSE(Address::parse("254.128.0.1").is_link_local());
}

TEST_CASE("an endpoint's text has brackets around an IPv6 address", "[address]") {
    CHECK(Endpoint{Address::parse("192.0.2.1"), 80}.text() == "192.0.2.1:80");
    CHECK(Endpoint{Address::parse("2001:db8::1"), 65535}.text() == "[2001:db8::1]:65535");
    CHECK(Endpoint{Address::parse("fe80::1%lo"), 0}.text() == "[fe80::1%lo]:0");
}

TEST_CASE("endpoints are ordered by address, then by port", "[address]") {
    const auto low = Address::parse("192.0.2.1");
    const auto high = Address::parse("192.0.2.2");
    CHECK(Endpoint{low, 1} < Endpoint{low, 2});
    CHECK(Endpoint{low, 2} < Endpoint{high, 1});
    CHECK(Endpoint{low, 1} == Endpoint{low, 1});
}

TEST_CASE("addresses and endpoints can be formatted", "[address]") {
    const auto address = Address::parse("192.0.2.1");
    CHECK(fmt::format("<{}>", address) == "<192.0.2.1>");
    CHECK(fmt::format("<{}>", Endpoint{Address::parse("::1"), 80}) == "<[::1]:80>");
}
