#include <test_tunnel/discovery/addresses.hpp>
#include <test_tunnel/discovery/pairs.hpp>
#include <test_tunnel/discovery/ports.hpp>
#include <test_tunnel/net/socket.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "support/discovered.hpp"
#include "support/network.hpp"
#include "support/recording_log.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using support::add_address;
using support::all_different;
using support::listen_on;
using support::parse_all;
using support::ports_of;
using support::PrivateNetwork;
using support::RecordingLog;
using support::remove_addresses;
using support::run_ip;
using support::texts_of;

namespace {

const std::vector<std::string> documentation_ipv4{"192.0.2.1", "192.0.2.2"};
const std::vector<std::string> documentation_ipv6{"2001:db8::1", "2001:db8::2"};

std::vector<std::string> names_of(const std::vector<Pair>& pairs) {
    std::vector<std::string> result;
    for (const auto& pair : pairs) {
        result.push_back(pair.name());
    }
    return result;
}

const std::vector<std::string> all_four{"4→4", "4→6", "6→4", "6→6"};

/// Every pair of `pairs` is fit for a run: one client each, no port twice.
void check_fit(const std::vector<Pair>& pairs) {
    CHECK(all_different(ports_of(pairs)));
    for (const auto& pair : pairs) {
        INFO(pair.name());
        for (const auto* side : {&pair.proxy_listen, &pair.svc_listen}) {
            CHECK(side->clients.size() == 1);
            CHECK(side->client().address.family() == side->address.family());
            CHECK(side->client().port == side->proxy_port);
            CHECK(side->listen() == Endpoint{side->address, side->svc_port});
        }
    }
}

} // namespace

TEST_CASE_METHOD(PrivateNetwork, "there are four combinations, one client each, no port twice",
                 "[discovery]") {
    const RecordingLog log;
    const auto pairs = discover_pairs(log.config());
    CHECK(names_of(pairs) == all_four);
    check_fit(pairs);
    CHECK(log.contains("info: 4 combinations to test"));
}

TEST_CASE_METHOD(
    PrivateNetwork,
    "the tool's outgoing address is none that anybody listens on, given three addresses",
    "[discovery]") {
    for (const auto& pair : discover_pairs(RecordingLog{}.config())) {
        INFO(pair.name());
        const auto outgoing = pair.svc_listen.client().address;
        CHECK(pair.proxy_listen.address != pair.svc_listen.address);
        CHECK(outgoing != pair.proxy_listen.address);
        CHECK(outgoing != pair.svc_listen.address);
        CHECK(outgoing != pair.proxy_listen.client().address);
        CHECK(pair.proxy_listen.client().address != pair.proxy_listen.address);
    }
}

TEST_CASE_METHOD(PrivateNetwork,
                 "given four addresses of a family, all four of a combination differ",
                 "[discovery]") {
    support::add_loopback_addresses(parse_all({"192.0.2.3", "2001:db8::3"}));
    for (const auto& pair : discover_pairs(RecordingLog{}.config())) {
        INFO(pair.name());
        CHECK(
            all_different(std::vector{pair.proxy_listen.address, pair.proxy_listen.client().address,
                                      pair.svc_listen.address, pair.svc_listen.client().address}));
    }
}

TEST_CASE_METHOD(PrivateNetwork, "of two addresses each is the other's client", "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto pairs = pick_pairs(
        config, find_pairs(config, find_ports(config, parse_all({"192.0.2.1", "192.0.2.2"}))));
    REQUIRE(names_of(pairs) == std::vector<std::string>{"4→4"});
    check_fit(pairs);
    CHECK(pairs[0].proxy_listen.address != pairs[0].svc_listen.address);
    CHECK(pairs[0].proxy_listen.client().address == pairs[0].svc_listen.address);
    CHECK(pairs[0].svc_listen.client().address == pairs[0].proxy_listen.address);
}

TEST_CASE_METHOD(PrivateNetwork, "a single address makes all combinations, with fresh ports",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto pairs = pick_pairs(
        config, find_pairs(config, find_ports(config, parse_all({"192.0.2.1", "2001:db8::1"}))));
    CHECK(names_of(pairs) == all_four);
    check_fit(pairs);
}

TEST_CASE_METHOD(PrivateNetwork,
                 "the ports of all pairs are free, and stay reserved while the pairs live",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto pairs = discover_pairs(config);
    for (const auto& pair : pairs) {
        for (const auto* side : {&pair.proxy_listen, &pair.svc_listen}) {
            CHECK_NOTHROW(listen_on(config, side->listen()));
            CHECK_NOTHROW(bind_to(config, side->client()));
        }
    }
    auto all = ports_of(pairs);
    const auto others = ports_of(discover_pairs(config));
    all.insert(all.end(), others.begin(), others.end());
    CHECK(all_different(all));
}

TEST_CASE_METHOD(PrivateNetwork, "processes that discover pairs at once never share a port",
                 "[discovery]") {
    constexpr std::size_t processes = 8;
    const auto config = RecordingLog{}.config();
    const auto ports =
        support::ports_found_at_once(processes, [&] { return discover_pairs(config); });
    CHECK(ports.size() == processes * 16);
    CHECK(all_different(ports));
}

TEST_CASE_METHOD(PrivateNetwork, "127.0.0.1 and ::1 alone make four combinations", "[discovery]") {
    remove_addresses(documentation_ipv4);
    remove_addresses(documentation_ipv6);
    const RecordingLog log;
    REQUIRE(texts_of(get_addresses(log.config())) == std::vector<std::string>{"127.0.0.1", "::1"});
    const auto pairs = discover_pairs(log.config());
    CHECK(names_of(pairs) == all_four);
    check_fit(pairs);
    // All of 127.0.0.0/8 is this machine's: no address need stand for another one.
    const auto& four = pairs.front();
    CHECK(all_different(std::vector{four.proxy_listen.address, four.svc_listen.address,
                                    four.svc_listen.client().address}));
}

TEST_CASE_METHOD(PrivateNetwork, "without IPv6 there is 4→4 only, and that is said",
                 "[discovery]") {
    support::disable_ipv6();
    const RecordingLog log;
    const auto pairs = discover_pairs(log.config());
    CHECK(names_of(pairs) == std::vector<std::string>{"4→4"});
    check_fit(pairs);
    CHECK(log.contains("warning: no usable IPv6 address"));
    CHECK_FALSE(log.contains("no usable IPv4 address"));
}

TEST_CASE_METHOD(PrivateNetwork, "without IPv4 there is 6→6 only, and that is said",
                 "[discovery]") {
    remove_addresses(documentation_ipv4);
    remove_addresses({"127.0.0.1"});
    const RecordingLog log;
    const auto pairs = discover_pairs(log.config());
    CHECK(names_of(pairs) == std::vector<std::string>{"6→6"});
    check_fit(pairs);
    CHECK(log.contains("warning: no usable IPv4 address"));
    CHECK_FALSE(log.contains("no usable IPv6 address"));
}

TEST_CASE_METHOD(PrivateNetwork, "no address that anybody can reach is an error", "[discovery]") {
    const RecordingLog log;
    CHECK_THROWS_AS(pick_pairs(log.config(), {}), NoCombinations);
    const auto unreachable = find_ports(log.config(), parse_all({"192.0.2.1"}));
    CHECK_THROWS_AS(pick_pairs(log.config(), unreachable), NoCombinations);
    CHECK(log.contains("warning: no usable IPv4 address"));
    CHECK(log.contains("warning: no usable IPv6 address"));
}

TEST_CASE_METHOD(PrivateNetwork, "a machine that can reach none of its addresses is an error",
                 "[discovery]") {
    support::disable_ipv6();
    run_ip({"rule", "add", "pref", "1", "lookup", "local"});
    run_ip({"rule", "del", "pref", "0"});
    run_ip({"rule", "add", "pref", "0", "prohibit"});
    CHECK_THROWS_AS(discover_pairs(RecordingLog{}.config()), NoCombinations);
}

TEST_CASE_METHOD(PrivateNetwork, "link-local addresses are not used where there are others",
                 "[discovery]") {
    support::add_interfaces_up("left0", "right0");
    add_address("fe80::1", "left0");
    add_address("fe80::2", "left0");
    for (const auto& pair : discover_pairs(RecordingLog{}.config())) {
        for (const auto* side : {&pair.proxy_listen, &pair.svc_listen}) {
            CHECK_FALSE(side->address.is_link_local());
            CHECK_FALSE(side->client().address.is_link_local());
        }
    }
}

TEST_CASE_METHOD(PrivateNetwork, "::1 serves alone rather than beside a link-local address",
                 "[discovery]") {
    // As on most machines in an IPv4 network; many a tool can't be told a scope.
    support::add_interfaces_up("left0", "right0");
    add_address("fe80::1", "left0");
    remove_addresses(documentation_ipv6);
    const auto pairs = discover_pairs(RecordingLog{}.config());
    CHECK(names_of(pairs) == all_four);
    check_fit(pairs);
    for (const auto* side : {&pairs.back().proxy_listen, &pairs.back().svc_listen}) {
        CHECK(side->address.text() == "::1");
        CHECK(side->client().address.text() == "::1");
    }
}

TEST_CASE_METHOD(PrivateNetwork,
                 "link-local addresses are used, with scope, where there is nothing else",
                 "[discovery]") {
    support::add_interfaces_up("left0", "right0");
    const auto one = add_address("fe80::1", "left0");
    const auto two = add_address("fe80::2", "left0");
    remove_addresses(documentation_ipv6);
    remove_addresses({"::1"});
    const auto pairs = discover_pairs(RecordingLog{}.config());
    CHECK(names_of(pairs) == all_four);
    check_fit(pairs);
    CHECK(pairs.back().proxy_listen.address == one);
    CHECK(pairs.back().svc_listen.address == two);
    CHECK(pairs.back().name() == "6→6");
    CHECK_THAT(pairs.back().text(), ContainsSubstring("[fe80::2%left0]"));
}

TEST_CASE_METHOD(PrivateNetwork, "a single link-local address serves where there is nothing else",
                 "[discovery]") {
    support::add_interfaces_up("left0", "right0");
    const auto only = add_address("fe80::1", "left0");
    remove_addresses(documentation_ipv6);
    remove_addresses({"::1"});
    const auto pairs = discover_pairs(RecordingLog{}.config());
    CHECK(names_of(pairs) == all_four);
    check_fit(pairs);
    CHECK(pairs.back().svc_listen.client().address == only);
}

TEST_CASE_METHOD(PrivateNetwork,
                 "where no address reaches another, one that reaches itself is used",
                 "[discovery]") {
    support::disable_ipv6();
    support::add_loopback_addresses(parse_all({"192.0.2.3", "192.0.2.4"}));
    run_ip({"rule", "add", "pref", "1", "lookup", "local"});
    run_ip({"rule", "del", "pref", "0"});
    run_ip({"rule", "add", "pref", "0", "from", "192.0.2.4", "to", "192.0.2.4", "lookup", "local"});
    run_ip({"rule", "add", "pref", "0", "prohibit"});
    const RecordingLog log;
    const auto pairs = discover_pairs(log.config());
    REQUIRE(names_of(pairs) == std::vector<std::string>{"4→4"});
    CHECK(pairs[0].proxy_listen.listen().address == Address::parse("192.0.2.4"));
    CHECK(pairs[0].proxy_listen.client().address == Address::parse("192.0.2.4"));
    CHECK(log.contains("info: 192.0.2.4 is left out: nobody can connect to it"));
}

TEST_CASE_METHOD(PrivateNetwork, "an address of use is found behind many of no use",
                 "[discovery]") {
    support::disable_ipv6();
    std::vector<Address> added;
    for (int i = 0; i < 20; ++i) {
        added.push_back(Address::parse(fmt::format("198.18.0.{}", i)));
    }
    support::add_loopback_addresses(added);
    run_ip({"rule", "add", "pref", "1", "to", "198.18.0.18/31", "lookup", "local"});
    run_ip({"rule", "add", "pref", "2", "prohibit"});
    run_ip({"rule", "del", "pref", "0"});
    const auto pairs = discover_pairs(RecordingLog{}.config());
    REQUIRE(names_of(pairs) == std::vector<std::string>{"4→4"});
    check_fit(pairs);
    CHECK(pairs[0].proxy_listen.address == added[18]);
    CHECK(pairs[0].svc_listen.address == added[19]);
}

TEST_CASE_METHOD(PrivateNetwork, "of thousands of addresses only a few are looked at",
                 "[discovery]") {
    constexpr int per_family = 1000;
    const auto took = [](const Config& config) {
        const auto start = Clock::now();
        const auto pairs = discover_pairs(config);
        return std::pair{pairs, Clock::now() - start};
    };
    const auto [few_pairs, few_time] = took(RecordingLog{}.config());
    std::vector<Address> added;
    for (int i = 0; i < per_family; ++i) {
        added.push_back(Address::parse(fmt::format("198.18.{}.{}", i / 250, i % 250)));
        added.push_back(Address::parse(fmt::format("2001:db8:1::{:x}", i)));
    }
    support::add_loopback_addresses(added);
    const RecordingLog log;
    const auto [pairs, many_time] = took(log.config());
    CHECK(get_addresses(log.config()).size() == 2 * per_family + 6);
    CHECK(names_of(pairs) == all_four);
    check_fit(pairs);
    CHECK(log.lines() < 20);
    // Every address that is looked at takes two port numbers, each search some blocks of 16.
    const auto ports = ports_of(pairs);
    CHECK(*std::max_element(ports.begin(), ports.end()) < default_first_port + 64 * 16);
    std::fputs(fmt::format("discover_pairs: {} with 6 addresses, {} with {}\n", text_of(few_time),
                           text_of(many_time), 2 * per_family + 6)
                   .c_str(),
               stderr);
}
