#include <dirent.h>
#include <test_tunnel/detail/port_lock.hpp>
#include <test_tunnel/detail/port_search.hpp>
#include <test_tunnel/detail/probing.hpp>
#include <test_tunnel/detail/spawn.hpp>
#include <test_tunnel/discovery.hpp>
#include <test_tunnel/socket.hpp>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/comes_true.hpp"
#include "support/forked.hpp"
#include "support/network.hpp"
#include "support/recording_log.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using support::add_address;
using support::PrivateNetwork;
using support::RecordingLog;
using support::remove_addresses;
using support::run_ip;

namespace {

const std::vector<std::string> documentation_ipv4{"192.0.2.1", "192.0.2.2"};
const std::vector<std::string> documentation_ipv6{"2001:db8::1", "2001:db8::2"};

std::vector<Address> parse_all(const std::vector<std::string>& texts) {
    std::vector<Address> result;
    for (const auto& text : texts) {
        result.push_back(Address::parse(text));
    }
    return result;
}

std::vector<std::string> texts_of(const std::vector<Address>& addresses) {
    std::vector<std::string> result;
    for (const auto& address : addresses) {
        result.push_back(address.text());
    }
    return result;
}

std::vector<Address> addresses_of(const std::vector<AddrPort>& entries) {
    std::vector<Address> result;
    for (const auto& entry : entries) {
        result.push_back(entry.address);
    }
    return result;
}

std::vector<int> ports_of(const std::vector<AddrPort>& entries) {
    std::vector<int> result;
    for (const auto& entry : entries) {
        result.push_back(entry.svc_port);
        result.push_back(entry.proxy_port);
    }
    return result;
}

std::vector<int> ports_of(const std::vector<Pair>& pairs) {
    std::vector<int> result;
    for (const auto& pair : pairs) {
        const auto some = ports_of({pair.proxy_listen, pair.svc_listen});
        result.insert(result.end(), some.begin(), some.end());
    }
    return result;
}

std::vector<std::string> names_of(const std::vector<Pair>& pairs) {
    std::vector<std::string> result;
    for (const auto& pair : pairs) {
        result.push_back(pair.name());
    }
    return result;
}

const std::vector<std::string> all_four{"4→4", "4→6", "6→4", "6→6"};

template <typename Value>
bool all_different(const std::vector<Value>& values) {
    return std::set<Value>{values.begin(), values.end()}.size() == values.size();
}

bool contains(const std::vector<Address>& addresses, const Address& address) {
    return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

bool contains(const std::vector<int>& ports, int port) {
    return std::find(ports.begin(), ports.end(), port) != ports.end();
}

/// All TCP sockets of this network that are listening, connected or lingering, as the kernel lists
/// them; those that are only bound are in no list.
std::string tcp_sockets() {
    std::string result;
    for (const auto* const path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
        std::ifstream file{path};
        std::string line;
        std::getline(file, line);
        while (std::getline(file, line)) {
            result += line + '\n';
        }
    }
    return result;
}

std::size_t open_descriptors() {
    const std::unique_ptr<DIR, int (*)(DIR*)> fds{::opendir("/proc/self/fd"), ::closedir};
    std::size_t count = 0;
    while (::readdir(fds.get()) != nullptr) { // NOLINT(concurrency-mt-unsafe): own stream
        ++count;
    }
    return count;
}

bool is_free(const Endpoint& endpoint) {
    return detail::try_bind(Socket{endpoint.address.family()}, endpoint) == detail::Bound::yes;
}

/// A port that the next search from `default_first_port` tries first, held by nobody.
std::uint16_t next_port(const Config& config) {
    return find_ports(config, parse_all({"127.0.0.1"})).front().svc_port;
}

Socket listen_on(const Config& config, const Endpoint& endpoint) {
    auto socket = bind_to(config, endpoint);
    socket.listen();
    return socket;
}

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

// --- get_addresses
// ----------------------------------------------------------------------------------

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

// --- find_ports
// -------------------------------------------------------------------------------------

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
    support::Pipe start;
    std::vector<support::Forked> all;
    for (std::size_t i = 0; i < processes; ++i) {
        all.emplace_back([&] {
            start.write_end.reset();
            char none = 0;
            // Returns when the last one that could write, the test, has closed its end.
            detail::retry_eintr([&] { return ::read(start.read_end.get(), &none, 1); });
            // Kept until the process is killed.
            static const auto found = find_ports(config, addresses);
            return detail::joined(ports_of(found), " ");
        });
    }
    start.write_end.reset();
    std::vector<int> ports;
    for (auto& process : all) {
        const auto text = process.text();
        INFO(text);
        std::istringstream numbers{text};
        std::copy(std::istream_iterator<int>{numbers}, {}, std::back_inserter(ports));
    }
    CHECK(ports.size() == processes * 2 * addresses.size());
    CHECK(all_different(ports));
}

TEST_CASE_METHOD(PrivateNetwork, "the ports of a process that was killed are free again",
                 "[discovery]") {
    const auto config = RecordingLog{}.config();
    const auto address = parse_all({"192.0.2.1"});
    support::Forked holder{[&] {
        static const auto found = find_ports(config, address);
        return detail::joined(ports_of(found), " ");
    }};
    const auto held = holder.text();
    CHECK(detail::joined(ports_of(find_ports(config, address)), " ") != held);
    holder.kill();
    CHECK(detail::joined(ports_of(find_ports(config, address)), " ") == held);
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

// --- find_pairs
// -------------------------------------------------------------------------------------

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

// --- pick_pairs, discover_pairs
// ---------------------------------------------------------------------

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
    support::Pipe start;
    std::vector<support::Forked> all;
    for (std::size_t i = 0; i < processes; ++i) {
        all.emplace_back([&] {
            start.write_end.reset();
            char none = 0;
            detail::retry_eintr([&] { return ::read(start.read_end.get(), &none, 1); });
            static const auto pairs = discover_pairs(config);
            return detail::joined(ports_of(pairs), " ");
        });
    }
    start.write_end.reset();
    std::vector<int> ports;
    for (auto& process : all) {
        const auto text = process.text();
        INFO(text);
        std::istringstream numbers{text};
        std::copy(std::istream_iterator<int>{numbers}, {}, std::back_inserter(ports));
    }
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
    std::fputs(
        fmt::format("discover_pairs: {} with 6 addresses, {} with {}\n", detail::text_of(few_time),
                    detail::text_of(many_time), 2 * per_family + 6)
            .c_str(),
        stderr);
}
