#include <test_tunnel/address.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace test_tunnel;

TEST_CASE("a family has an id and a prefix length, any other is refused", "[address]") {
    CHECK(family_id(Family::ipv4) == '4');
    CHECK(family_id(AF_INET6) == '6');
    CHECK(prefix_length(Family::ipv4) == 32);
    CHECK(prefix_length(AF_INET6) == 128);
    CHECK_THROWS_AS(family_id(AF_UNIX), UnsupportedAddressFamily);
    CHECK_THROWS_AS(prefix_length(AF_UNSPEC), UnsupportedAddressFamily);
}
