#include <test_tunnel/discovery/addresses.hpp>
#include <test_tunnel/discovery/detail/port_search.hpp>
#include <test_tunnel/discovery/pairs.hpp>
#include <test_tunnel/discovery/ports.hpp>
#include <test_tunnel/net/socket.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstddef>
#include <string>
#include <vector>

#include "support/comes_true.hpp"
#include "support/descriptors.hpp"
#include "support/discovered.hpp"
#include "support/network.hpp"
#include "support/recording_log.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using support::addresses_of;
using support::listen_on;
using support::open_descriptors;
using support::parse_all;
using support::ports_of;
using support::PrivateNetwork;
using support::RecordingLog;
using support::remove_addresses;
using support::run_ip;
using support::tcp_sockets;
using support::texts_of;

namespace {

bool is_free(const Endpoint& endpoint) {
    return detail::try_bind(Socket{endpoint.address.family()}, endpoint) == detail::Bound::yes;
}

} // namespace

TEST_CASE_METHOD(PrivateNetwork, "every address has all others of its family for clients",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto addresses = get_addresses(config);
    const auto ports = find_ports(config, addresses);
    const auto pairs = find_pairs(config, ports);
    REQUIRE(addresses_of(pairs) == addresses);
    CHECK(ports_of(pairs) == ports_of(ports));
    for (const auto& entry : pairs) {
        std::vector<Address> others;
        std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(others),
                     [&](const Address& address) {
                         return address.family() == entry.address.family() &&
                                address != entry.address;
                     });
        CHECK(entry.clients == others);
    }
}

TEST_CASE_METHOD(PrivateNetwork, "the only address of its family is its own client",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto pairs =
        find_pairs(config, find_ports(config, parse_all({"192.0.2.1", "2001:db8::1"})));
    REQUIRE(pairs.size() == 2);
    for (const auto& entry : pairs) {
        CHECK(entry.clients == std::vector{entry.address});
        CHECK(entry.client() == Endpoint{entry.address, entry.proxy_port});
    }
}

TEST_CASE_METHOD(PrivateNetwork, "an address that is gone meanwhile is left out, as a client too",
                 "[discovery]") {
    const RecordingLog log;
    const auto ports = find_ports(log.config(), get_addresses(log.config()));
    remove_addresses({"192.0.2.2", "2001:db8::2"});
    const auto pairs = find_pairs(log.config(), ports);
    CHECK(addresses_of(pairs) == parse_all({"127.0.0.1", "192.0.2.1", "::1", "2001:db8::1"}));
    for (const auto& entry : pairs) {
        CHECK(entry.clients.size() == 1);
    }
    CHECK(log.contains("info: 192.0.2.2 is left out"));
    CHECK(log.contains("debug: 192.0.2.2 can't connect"));
}

TEST_CASE_METHOD(PrivateNetwork,
                 "an address that nobody can reach is left out, and is still a client",
                 "[discovery]") {
    const RecordingLog log;
    const auto ports = find_ports(log.config(), parse_all({"127.0.0.1", "192.0.2.1", "192.0.2.2"}));
    // Before the table of local addresses, which else says that they can be reached.
    run_ip({"rule", "add", "pref", "1", "lookup", "local"});
    run_ip({"rule", "del", "pref", "0"});
    run_ip({"rule", "add", "pref", "0", "from", "127.0.0.1", "to", "192.0.2.2", "prohibit"});
    run_ip({"rule", "add", "pref", "0", "from", "192.0.2.1", "to", "192.0.2.2", "blackhole"});
    const auto pairs = find_pairs(log.config(), ports);
    REQUIRE(addresses_of(pairs) == parse_all({"127.0.0.1", "192.0.2.1"}));
    CHECK(texts_of(pairs[1].clients) == std::vector<std::string>{"127.0.0.1"});
    CHECK(log.contains("info: 192.0.2.2 is left out: nobody can connect to it"));
}

TEST_CASE_METHOD(PrivateNetwork, "an address of which one port can't be reached is left out",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto ports = find_ports(config, parse_all({"127.0.0.1", "192.0.2.1", "192.0.2.2"}));
    run_ip({"rule", "add", "pref", "1", "lookup", "local"});
    run_ip({"rule", "del", "pref", "0"});
    for (const auto port : {ports[0].svc_port, ports[1].proxy_port}) {
        run_ip({"rule", "add", "pref", "0", "ipproto", "tcp", "dport", std::to_string(port),
                "prohibit"});
    }
    CHECK(addresses_of(find_pairs(config, ports)) == parse_all({"192.0.2.2"}));
}

TEST_CASE_METHOD(PrivateNetwork,
                 "a network that drops every packet leaves no address, in bounded time",
                 "[discovery]") {
    const RecordingLog log;
    const auto ports = find_ports(log.config(), parse_all({"192.0.2.1", "192.0.2.2"}));
    if (!support::run({"tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "8bit", "burst",
                       "1", "limit", "1"})) {
        SKIP("this kernel has no queue that drops everything (tbf)");
    }
    CHECK(find_pairs(log.config(), ports).empty());
    CHECK(log.contains("debug: 192.0.2.2 can't connect: nothing for"));
}

TEST_CASE_METHOD(PrivateNetwork, "a port that is taken meanwhile makes its address be left out",
                 "[discovery]") {
    const RecordingLog log;
    const auto ports = find_ports(log.config(), parse_all({"192.0.2.1", "192.0.2.2"}));
    const auto listener = listen_on(log.config(), {ports[0].address, ports[0].proxy_port});
    CHECK(addresses_of(find_pairs(log.config(), ports)) == parse_all({"192.0.2.2"}));
    CHECK(log.contains("info: 192.0.2.1 is left out: bind to 192.0.2.1:"));
}

TEST_CASE_METHOD(PrivateNetwork,
                 "a limit is that of the addresses of a family, and of each one's clients",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto ports = find_ports(config, get_addresses(config));
    for (const std::size_t limit : {1U, 2U}) {
        const auto pairs = find_pairs(config, ports, limit);
        CHECK(pairs.size() == 2 * limit);
        for (const auto& entry : pairs) {
            CHECK(entry.clients.size() == limit);
        }
    }
    CHECK(find_pairs(config, ports, 0).empty());
    CHECK(find_pairs(config, ports, 100).size() == ports.size());
}

TEST_CASE_METHOD(PrivateNetwork, "no addresses make no pairs", "[discovery]") {
    CHECK(find_pairs(RecordingLog{}.config(), {}).empty());
}

TEST_CASE_METHOD(PrivateNetwork,
                 "the search for pairs leaves no socket behind, lingering ones neither",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto ports = find_ports(config, get_addresses(config));
    REQUIRE(tcp_sockets().empty());
    const auto descriptors = open_descriptors();
    const auto pairs = find_pairs(config, ports);
    REQUIRE(pairs.size() == 6);
    CHECK(open_descriptors() == descriptors);
    INFO(tcp_sockets());
    // A reset that is still under way arrives at once; what lingers does so for a minute.
    CHECK(support::comes_true([] { return tcp_sockets().empty(); }));
}

TEST_CASE_METHOD(PrivateNetwork,
                 "the ports can be bound without address reuse after the search for pairs",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    for (const auto& entry : find_pairs(config, find_ports(config, get_addresses(config)))) {
        CHECK(support::comes_true([&] {
            return is_free({entry.address, entry.svc_port}) &&
                   is_free({entry.address, entry.proxy_port});
        }));
    }
}

TEST_CASE_METHOD(PrivateNetwork, "an entry without a client says so when it is asked for one",
                 "[discovery]") {
    AddrPort entry;
    entry.address = Address::parse("192.0.2.1");
    CHECK_THROWS_MATCHES(entry.client(), NoCombinations,
                         MessageMatches(ContainsSubstring("192.0.2.1")));
}
