#include <test_tunnel/discovery/addresses.hpp>
#include <test_tunnel/discovery/pairs.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "support/discovered.hpp"
#include "support/network.hpp"
#include "support/recording_log.hpp"

using namespace test_tunnel;
using support::add_address;
using support::contains;
using support::PrivateNetwork;
using support::RecordingLog;
using support::run_ip;
using support::texts_of;

TEST_CASE_METHOD(PrivateNetwork, "the addresses of the machine are found, sorted", "[discovery]") {
    const std::vector<std::string> expected{"127.0.0.1", "192.0.2.1",   "192.0.2.2",
                                            "::1",       "2001:db8::1", "2001:db8::2"};
    CHECK(texts_of(get_addresses(RecordingLog{}.config())) == expected);
}

TEST_CASE_METHOD(PrivateNetwork, "addresses of an interface that is down are left out",
                 "[discovery]") {
    support::add_interfaces("left0", "right0");
    run_ip({"address", "add", "198.51.100.1/24", "dev", "left0"});
    const auto address = Address::parse("198.51.100.1");
    const RecordingLog log;
    CHECK_FALSE(contains(get_addresses(log.config()), address));
    run_ip({"link", "set", "left0", "up"});
    CHECK(contains(get_addresses(log.config()), address));
    run_ip({"link", "set", "left0", "down"});
    CHECK_FALSE(contains(get_addresses(log.config()), address));
}

TEST_CASE_METHOD(PrivateNetwork, "an interface without any address is no harm", "[discovery]") {
    const RecordingLog log;
    const auto before = get_addresses(log.config());
    support::add_interfaces_up("left0", "right0");
    CHECK(get_addresses(log.config()) == before);
}

TEST_CASE_METHOD(PrivateNetwork, "an address that two interfaces have is found once",
                 "[discovery]") {
    const RecordingLog log;
    const auto before = get_addresses(log.config());
    support::add_interfaces_up("left0", "right0");
    run_ip({"address", "add", "192.0.2.1/32", "dev", "left0"});
    run_ip({"address", "add", "2001:db8::1/128", "dev", "left0", "nodad"});
    CHECK(get_addresses(log.config()) == before);
}

TEST_CASE_METHOD(PrivateNetwork,
                 "a link-local address has its scope, and on two interfaces it is two",
                 "[discovery]") {
    support::add_interfaces_up("left0", "right0");
    const auto left = add_address("fe80::1", "left0");
    const auto right = add_address("fe80::1", "right0");
    REQUIRE(left != right);
    const auto found = get_addresses(RecordingLog{}.config());
    CHECK(contains(found, left));
    CHECK(contains(found, right));
    CHECK(left.text() == "fe80::1%left0");
    CHECK(std::is_sorted(found.begin(), found.end()));
}

TEST_CASE_METHOD(PrivateNetwork,
                 "a point-to-point interface gives its own address and not the peer's",
                 "[discovery]") {
    if (!support::run({"ip", "tuntap", "add", "dev", "tun0", "mode", "tun"})) {
        SKIP("this system has no tun interfaces");
    }
    run_ip({"link", "set", "tun0", "addrgenmode", "none", "up"});
    run_ip({"address", "add", "198.51.100.1", "peer", "198.51.100.2", "dev", "tun0"});
    run_ip({"address", "add", "2001:db8:1::1", "peer", "2001:db8:1::2", "dev", "tun0"});
    const auto found = get_addresses(RecordingLog{}.config());
    CHECK(contains(found, Address::parse("198.51.100.1")));
    CHECK(contains(found, Address::parse("2001:db8:1::1")));
    CHECK_FALSE(contains(found, Address::parse("198.51.100.2")));
    CHECK_FALSE(contains(found, Address::parse("2001:db8:1::2")));
}

TEST_CASE_METHOD(PrivateNetwork, "a machine without any address is an error", "[discovery]") {
    run_ip({"link", "set", "lo", "down"});
    const RecordingLog log;
    CHECK_THROWS_AS(get_addresses(log.config()), NoAddresses);
    CHECK_THROWS_AS(discover_pairs(log.config()), NoAddresses);
}
