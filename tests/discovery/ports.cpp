#include <test_tunnel/discovery/addresses.hpp>
#include <test_tunnel/discovery/detail/port_search.hpp>
#include <test_tunnel/discovery/detail/probing.hpp>
#include <test_tunnel/discovery/pairs.hpp>
#include <test_tunnel/discovery/ports.hpp>
#include <test_tunnel/net/socket.hpp>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstddef>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/comes_true.hpp"
#include "support/descriptors.hpp"
#include "support/discovered.hpp"
#include "support/forked.hpp"
#include "support/network.hpp"
#include "support/recording_log.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using support::add_address;
using support::addresses_of;
using support::all_different;
using support::contains;
using support::listen_on;
using support::open_descriptors;
using support::parse_all;
using support::ports_of;
using support::PrivateNetwork;
using support::RecordingLog;
using support::tcp_sockets;

namespace {

/// A port that the next search from `default_first_port` tries first, held by nobody.
std::uint16_t next_port(const Config& config) {
    return find_ports(config, parse_all({"127.0.0.1"})).front().svc_port;
}

} // namespace

TEST_CASE_METHOD(PrivateNetwork, "every address gets two ports of its own, in ascending order",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto addresses = get_addresses(config);
    const auto found = find_ports(config, addresses);
    CHECK(addresses_of(found) == addresses);
    const auto ports = ports_of(found);
    CHECK(ports.size() == 2 * addresses.size());
    CHECK(all_different(ports));
    CHECK(std::is_sorted(ports.begin(), ports.end()));
    CHECK(ports.front() >= default_first_port);
    for (const auto& entry : found) {
        CHECK(entry.clients.empty());
    }
}

TEST_CASE_METHOD(PrivateNetwork, "hundreds of addresses get ports and take few descriptors",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto before = open_descriptors();
    const auto found = find_ports(config, std::vector<Address>(400, Address::parse("127.0.0.1")));
    CHECK(all_different(ports_of(found)));
    CHECK(found.size() == 400);
    CHECK(open_descriptors() - before < 60);
}

TEST_CASE_METHOD(PrivateNetwork, "no address at all gets no ports", "[discovery]") {
    CHECK(find_ports(RecordingLog{}.config(), {}).empty());
}

TEST_CASE_METHOD(PrivateNetwork, "the ports that were found can be listened on at once",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    std::vector<Socket> sockets;
    for (const auto& entry : find_ports(config, get_addresses(config))) {
        sockets.push_back(listen_on(config, {entry.address, entry.svc_port}));
        sockets.push_back(listen_on(config, {entry.address, entry.proxy_port}));
    }
    CHECK(sockets.size() == 12);
}

TEST_CASE_METHOD(PrivateNetwork, "a port on which somebody listens is skipped", "[discovery]") {
    const auto config = RecordingLog{}.config();
    for (const auto* const text : {"192.0.2.1", "2001:db8::1"}) {
        const auto address = Address::parse(text);
        const auto port = next_port(config);
        const auto listener = listen_on(config, {address, port});
        CHECK_FALSE(contains(ports_of(find_ports(config, {address})), port));
    }
}

TEST_CASE_METHOD(PrivateNetwork,
                 "a port on which somebody listens on another address is skipped too",
                 "[discovery]") {
    // The clients' addresses are not known yet: the port may be wanted there.
    const auto config = RecordingLog{}.config();
    const auto port = next_port(config);
    const auto listener = listen_on(config, {Address::parse("192.0.2.1"), port});
    CHECK_FALSE(contains(ports_of(find_ports(config, parse_all({"192.0.2.2"}))), port));
}

TEST_CASE_METHOD(PrivateNetwork, "a port that somebody has bound and does not listen on is skipped",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto port = next_port(config);
    const auto bound = bind_to(config, {Address::parse("192.0.2.1"), port});
    CHECK_FALSE(contains(ports_of(find_ports(config, parse_all({"192.0.2.1"}))), port));
}

TEST_CASE_METHOD(PrivateNetwork, "a port on which somebody listens on every address is skipped",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    for (const auto& [everywhere, address] :
         {std::pair{"0.0.0.0", "192.0.2.1"}, std::pair{"::", "2001:db8::1"}}) {
        const auto port = next_port(config);
        const auto listener = listen_on(config, {Address::parse(everywhere), port});
        CHECK_FALSE(contains(ports_of(find_ports(config, parse_all({address}))), port));
    }
}

TEST_CASE_METHOD(PrivateNetwork, "a port on which somebody listens for both families is skipped",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto port = next_port(config);
    Socket both{Family::ipv6};
    const int off = 0;
    REQUIRE(::setsockopt(both.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0);
    both.bind({Address::parse("::"), port});
    both.listen();
    for (const auto* const address : {"192.0.2.1", "2001:db8::1"}) {
        CHECK_FALSE(contains(ports_of(find_ports(config, parse_all({address}))), port));
    }
}

TEST_CASE_METHOD(PrivateNetwork, "a port on which an ended connection lingers is skipped",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    for (const auto* const text : {"192.0.2.1", "2001:db8::1"}) {
        const auto address = Address::parse(text);
        const auto port = next_port(config);
        {
            auto listener = listen_on(config, {address, port});
            Socket near{address.family()};
            near.connect({address, port});
            auto far = listener.accept();
            // Who ends it first has the lingering end.
            far.shutdown_write();
            near.read_end();
            near.shutdown_write();
            far.read_end();
        }
        const auto lingers = fmt::format(":{:04X} 06", port);
        const auto state = [&] {
            std::istringstream lines{tcp_sockets()};
            // number, local, remote, state: the port of the first and the state of TIME_WAIT
            std::string number, local, remote, code;
            std::string rest;
            while (lines >> number >> local >> remote >> code && std::getline(lines, rest)) {
                if (local.substr(local.find(':')) + ' ' + code == lingers) {
                    return true;
                }
            }
            return false;
        };
        REQUIRE(support::comes_true(state));
        CHECK_FALSE(contains(ports_of(find_ports(config, {address})), port));
        REQUIRE(state());
    }
}

TEST_CASE_METHOD(PrivateNetwork,
                 "a second search gets other ports, and the same when the first is gone",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto addresses = get_addresses(config);
    std::optional first{find_ports(config, addresses)};
    const auto ports = ports_of(*first);
    auto second = ports_of(find_ports(config, addresses));
    second.insert(second.end(), ports.begin(), ports.end());
    CHECK(all_different(second));
    first.reset();
    CHECK(ports_of(find_ports(config, addresses)) == ports);
}

TEST_CASE_METHOD(PrivateNetwork, "one copy of one entry keeps the ports reserved", "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto addresses = get_addresses(config);
    std::optional<AddrPort> kept = find_ports(config, addresses).back();
    const auto others = ports_of(find_ports(config, addresses));
    CHECK_FALSE(contains(others, kept->svc_port));
    CHECK_FALSE(contains(others, kept->proxy_port));
    const auto port = kept->svc_port;
    kept.reset();
    CHECK(contains(ports_of(find_ports(config, addresses)), port));
}

TEST_CASE_METHOD(PrivateNetwork, "processes that search at once never share a port",
                 "[discovery]") {
    constexpr std::size_t processes = 16;
    const auto config = RecordingLog{}.config();
    const auto addresses = get_addresses(config);
    const auto ports =
        support::ports_found_at_once(processes, [&] { return find_ports(config, addresses); });
    CHECK(ports.size() == processes * 2 * addresses.size());
    CHECK(all_different(ports));
}

TEST_CASE_METHOD(PrivateNetwork, "the ports of a process that was killed are free again",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto address = parse_all({"192.0.2.1"});
    support::Forked holder{[&] {
        static const auto found = find_ports(config, address);
        return joined(ports_of(found), " ");
    }};
    const auto held = holder.text();
    CHECK(joined(ports_of(find_ports(config, address)), " ") != held);
    holder.kill();
    CHECK(joined(ports_of(find_ports(config, address)), " ") == held);
}

TEST_CASE_METHOD(PrivateNetwork, "the search starts at the first port plus the offset",
                 "[discovery]") {
    auto config = RecordingLog{}.config();
    const auto address = parse_all({"127.0.0.1"});
    CHECK(ports_of(find_ports(config, address)) ==
          std::vector{default_first_port, default_first_port + 1});
    config.offset = 1000;
    CHECK(ports_of(find_ports(config, address)) ==
          std::vector{default_first_port + 1000, default_first_port + 1001});
    config.offset = -1000;
    CHECK(ports_of(find_ports(config, address, 9000)) == std::vector{8000, 8001});
}

TEST_CASE_METHOD(PrivateNetwork,
                 "an offset that leads outside the port numbers is refused and named",
                 "[discovery]") {
    auto config = RecordingLog{}.config();
    for (const auto& [offset, start] :
         {std::pair{60000, "66374"}, std::pair{59162, "65536"}, std::pair{-6374, "0"},
          std::pair{-7000, "-626"}, std::pair{2147483647, "2147490021"},
          std::pair{-2147483647 - 1, "-2147477274"}}) {
        config.offset = offset;
        CHECK_THROWS_MATCHES(
            find_ports(config, parse_all({"127.0.0.1"})), PortRangeError,
            MessageMatches(ContainsSubstring("first port 6374") &&
                           ContainsSubstring(fmt::format("offset {} is {}", offset, start))));
        CHECK_THROWS_AS(discover_pairs(config), PortRangeError);
    }
}

TEST_CASE_METHOD(PrivateNetwork,
                 "the last port numbers are used, and when they are gone that is said",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto address = Address::parse("127.0.0.1");
    CHECK(ports_of(find_ports(config, {address, address, address}, 65530)).back() == 65535);
    CHECK_THROWS_MATCHES(find_ports(config, {address, address, address}, 65531), PortRangeError,
                         MessageMatches(ContainsSubstring("first port 65531 with offset 0") &&
                                        ContainsSubstring("up to 65535")));
}

TEST_CASE_METHOD(PrivateNetwork,
                 "fresh ports are behind the old ones, and come from the start again",
                 "[discovery]") {
    auto config = RecordingLog{}.config();
    config.offset = 65000 - default_first_port;
    auto entry = find_ports(config, parse_all({"127.0.0.1"})).front();
    entry.reservation = {};
    CHECK(detail::with_fresh_ports(config, entry).svc_port > entry.proxy_port);
    const auto first = entry.svc_port;
    entry.proxy_port = 65534; // one is left, and two are needed
    CHECK(detail::with_fresh_ports(config, entry).svc_port == first);
    entry.proxy_port = 65535;
    CHECK(detail::with_fresh_ports(config, entry).svc_port == first);
}

TEST_CASE_METHOD(PrivateNetwork, "a search that failed leaves no port reserved", "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto address = Address::parse("127.0.0.1");
    CHECK_THROWS_AS(find_ports(config, {address, address}, 65535), PortRangeError);
    CHECK(ports_of(find_ports(config, {address}, 65534)) == std::vector{65534, 65535});
}

TEST_CASE_METHOD(PrivateNetwork, "a user who may not listen on low ports is told so",
                 "[discovery]") {
    support::require_root();
    const auto config = RecordingLog{}.config();
    support::Forked nobody{[&]() -> std::string {
        support::become_nobody();
        try {
            find_ports(config, parse_all({"192.0.2.1"}), 80);
        } catch (const PermissionDenied& error) {
            return std::string{"denied: "} + error.what();
        }
        return "not denied";
    }};
    CHECK_THAT(nobody.text(),
               ContainsSubstring("denied: 192.0.2.1") && ContainsSubstring("listen on port 80"));
}

TEST_CASE_METHOD(PrivateNetwork, "an address that the machine does not have is left out",
                 "[discovery]") {
    const RecordingLog log;
    const auto found = find_ports(
        log.config(), parse_all({"192.0.2.1", "192.0.2.77", "2001:db8::77", "2001:db8::1"}));
    CHECK(addresses_of(found) == parse_all({"192.0.2.1", "2001:db8::1"}));
    CHECK(log.contains("info: 192.0.2.77 is left out"));
    CHECK(log.contains("info: 2001:db8::77 is left out"));
}

TEST_CASE_METHOD(PrivateNetwork, "a link-local address gets ports, with its scope only",
                 "[discovery]") {
    support::add_interfaces_up("left0", "right0");
    const auto with_scope = add_address("fe80::1", "left0");
    const auto found = find_ports(RecordingLog{}.config(), {Address::parse("fe80::1"), with_scope});
    CHECK(addresses_of(found) == std::vector{with_scope});
}
