#include <fcntl.h>
#include <sched.h>
#include <test_tunnel/base/detail/unique_fd.hpp>
#include <test_tunnel/base/error.hpp>
#include <test_tunnel/net/socket.hpp>
#include <test_tunnel/private_network/detail/loopback.hpp>
#include <test_tunnel/private_network/private_network.hpp>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdlib>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/forked.hpp"
#include "support/network.hpp"

using namespace test_tunnel;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using support::own_addresses;
using support::private_addresses;
using support::PrivateNetwork;

namespace {

std::string link_text(const char* path) {
    std::array<char, 256> text{};
    const auto size = ::readlink(path, text.data(), text.size());
    return {text.data(), size < 0 ? 0 : static_cast<std::size_t>(size)};
}

std::string network_namespace() {
    return link_text("/proc/self/ns/net");
}

/// All that entering a private network could change.
std::string situation() {
    uid_t user = 0, effective_user = 0, saved_user = 0;
    gid_t group = 0, effective_group = 0, saved_group = 0;
    ::getresuid(&user, &effective_user, &saved_user);
    ::getresgid(&group, &effective_group, &saved_group);
    return fmt::format("{} {} {} {} {} {} {} {}", network_namespace(),
                       link_text("/proc/self/ns/user"), user, effective_user, saved_user, group,
                       effective_group, saved_group);
}

/// Makes a connection and sends a byte through it.
void connect(const Address& from, const Address& to) {
    Socket listener{to.family()};
    listener.bind({to, 0});
    listener.listen();
    Socket near{from.family()};
    near.bind({from, 0});
    near.connect(listener.local());
    near.write("x");
    auto far = listener.accept();
    if (far.read(1) != "x" || far.peer().address != from) {
        throw Error{fmt::format("{} can't be reached from {}", to, from)};
    }
}

/// A second thread for as long as it lives.
class Thread {
public:
    Thread() = default;
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;
    ~Thread() {
        end_.set_value();
        thread_.join();
    }

private:
    std::promise<void> end_;
    std::thread thread_{[this] { end_.get_future().wait(); }};
};

constexpr const char* variable = "TEST_TUNNEL_NETWORK";

} // namespace

TEST_CASE_METHOD(PrivateNetwork, "a private network has its addresses and no others",
                 "[private_network]") {
    enter_private_network();
    CHECK(own_addresses() == private_addresses());
}

TEST_CASE_METHOD(PrivateNetwork,
                 "in a private network connections between all addresses work at once",
                 "[private_network]") {
    enter_private_network();
    for (const auto& from : private_addresses()) {
        for (const auto& to : private_addresses()) {
            if (from.family() == to.family()) {
                CHECK_NOTHROW(connect(from, to));
            }
        }
    }
}

TEST_CASE_METHOD(PrivateNetwork, "the first packet in a private network is never lost",
                 "[private_network]") {
    const auto address = Address::parse("2001:db8::2"); // added last
    // On a busy processor the kernel's worker, which puts an address in use, comes late.
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(static_cast<unsigned>(::sched_getcpu()), &here);
    REQUIRE(::sched_setaffinity(0, sizeof here, &here) == 0);
    const auto keep_busy = []() -> std::string {
        for (volatile bool busy = true; busy;) {
        }
        return {};
    };
    const std::array<support::Forked, 3> others{
        support::Forked{keep_busy}, support::Forked{keep_busy}, support::Forked{keep_busy}};
    for (int round = 0; round < 40; ++round) {
        enter_private_network();
        Socket listener{address.family()};
        REQUIRE_NOTHROW(listener.bind({address, 0}));
        listener.listen();
        // A lost one would come again after a second.
        Socket near{address.family(), std::chrono::milliseconds{900}};
        REQUIRE_NOTHROW(near.connect(listener.local()));
    }
}

TEST_CASE_METHOD(PrivateNetwork, "entering a private network leaves the one before",
                 "[private_network]") {
    const auto before = network_namespace();
    enter_private_network();
    CHECK_FALSE(before.empty());
    CHECK(network_namespace() != before);
}

TEST_CASE_METHOD(PrivateNetwork, "whoever listens outside is not met in a private network",
                 "[private_network]") {
    const auto address = Address::parse("192.0.2.1");
    Socket outside{Family::ipv4};
    outside.bind({address, 0});
    outside.listen();
    const auto endpoint = outside.local();
    enter_private_network();
    Socket near{Family::ipv4};
    CHECK_FALSE(near.try_connect(endpoint));
    Socket inside{Family::ipv4};
    CHECK_NOTHROW(inside.bind(endpoint));
    CHECK_NOTHROW(inside.listen());
}

TEST_CASE_METHOD(PrivateNetwork, "processes that are started share the private network",
                 "[private_network]") {
    enter_private_network();
    SpawnOptions options;
    options.argv = {"readlink", "/proc/self/ns/net"};
    auto process = Process::spawn(std::move(options));
    REQUIRE(process.wait(Deadline::after(std::chrono::seconds{10})));
    CHECK(process.out() == network_namespace() + '\n');
}

TEST_CASE_METHOD(PrivateNetwork, "a packet can't leave a private network", "[private_network]") {
    enter_private_network();
    for (const auto* const text : {"198.51.100.1", "2001:db8:1::1"}) {
        const auto address = Address::parse(text);
        Socket socket{address.family()};
        try {
            socket.connect({address, 9});
            FAIL("connected to " << text);
        } catch (const SystemError& error) {
            CHECK(error.code() == ENETUNREACH);
        }
    }
}

TEST_CASE_METHOD(PrivateNetwork, "a private network can be entered from within one",
                 "[private_network]") {
    std::set<std::string> seen{network_namespace()};
    std::vector<detail::UniqueFd> kept; // the number of one that nobody has any more may come again
    for (int depth = 0; depth < 4; ++depth) {
        kept.emplace_back(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
        enter_private_network();
        CHECK(seen.insert(network_namespace()).second);
        CHECK(own_addresses() == private_addresses());
    }
}

TEST_CASE_METHOD(PrivateNetwork, "the user and the groups stay who they were",
                 "[private_network]") {
    const auto user = ::geteuid();
    const auto group = ::getegid();
    enter_private_network();
    CHECK(::geteuid() == user);
    CHECK(::getegid() == group);
}

TEST_CASE_METHOD(PrivateNetwork, "root makes no user namespace", "[private_network]") {
    support::require_root();
    const auto before = link_text("/proc/self/ns/user");
    enter_private_network();
    CHECK(link_text("/proc/self/ns/user") == before);
}

TEST_CASE_METHOD(PrivateNetwork, "IPv6 is switched on in a network where it is off",
                 "[private_network]") {
    // A new network takes such settings from the machine's first one, which is not the test's: so
    // this is what entering does, with the network switched in between.
    REQUIRE(::unshare(CLONE_NEWNET) == 0);
    support::disable_ipv6();
    detail::set_up_loopback();
    CHECK(own_addresses() == private_addresses());
}

TEST_CASE_METHOD(PrivateNetwork,
                 "with a second thread a private network is refused and nothing changed",
                 "[private_network]") {
    const auto before = situation();
    {
        const Thread thread;
        CHECK_THROWS_MATCHES(enter_private_network(), PrivateNetworkUnavailable,
                             MessageMatches(ContainsSubstring("2 threads")));
        CHECK(situation() == before);
        CHECK_THROWS_AS(enter_network(NetworkMode::isolated), PrivateNetworkUnavailable);
        CHECK(situation() == before);
        CHECK_THAT(enter_network(NetworkMode::automatic),
                   ContainsSubstring("the host's network (") && ContainsSubstring("2 threads"));
        CHECK(situation() == before);
    }
    CHECK_NOTHROW(enter_private_network());
    CHECK(situation() != before);
}

TEST_CASE_METHOD(PrivateNetwork,
                 "an unprivileged user enters a private network, or nothing is changed",
                 "[private_network]") {
    support::require_root();
    support::Forked nobody{[&]() -> std::string {
        support::become_nobody();
        const auto before = situation();
        try {
            enter_private_network();
        } catch (const PrivateNetworkUnavailable& error) {
            return (situation() == before ? "unavailable: " : "changed: ") +
                   std::string{error.what()};
        }
        if (::getuid() != 65534 || ::geteuid() != 65534 || ::getgid() != 65534 ||
            ::getegid() != 65534) {
            return "not the same user: " + situation();
        }
        if (own_addresses() != private_addresses()) {
            return "not the addresses that should be there";
        }
        for (const auto& address : private_addresses()) {
            connect(address, address);
        }
        enter_private_network();
        connect(Address::parse("::1"), Address::parse("2001:db8::1"));
        return "entered";
    }};
    const auto text = nobody.text();
    if (text.find("unavailable: ") == 0) {
        SKIP(text);
    }
    CHECK(text == "entered");
}

TEST_CASE_METHOD(PrivateNetwork, "an unprivileged user is mapped to itself, and only it",
                 "[private_network]") {
    support::require_root();
    support::Forked nobody{[&]() -> std::string {
        support::become_nobody();
        try {
            enter_private_network();
        } catch (const PrivateNetworkUnavailable& error) {
            return std::string{"unavailable: "} + error.what();
        }
        SpawnOptions options;
        options.argv = {"cat", "/proc/self/uid_map", "/proc/self/gid_map"};
        auto process = Process::spawn(std::move(options));
        process.wait(Deadline::after(std::chrono::seconds{10}));
        return process.out();
    }};
    const auto text = nobody.text();
    if (text.find("unavailable: ") == 0) {
        SKIP(text);
    }
    const std::string line = "     65534      65534          1\n";
    CHECK(text == line + line);
}

TEST_CASE_METHOD(PrivateNetwork,
                 "a user who may have no user namespace is refused and nothing changed",
                 "[private_network]") {
    support::require_root();
    support::Forked nobody{[&]() -> std::string {
        support::become_nobody();
        // Its own /proc/self/uid_map is root's now: as where a system gives no rights in it.
        ::prctl(PR_SET_DUMPABLE, 0);
        const auto before = situation();
        try {
            enter_private_network();
        } catch (const PrivateNetworkUnavailable& error) {
            const bool same = situation() == before;
            const auto words = enter_network(NetworkMode::automatic);
            return fmt::format("{}; {}; {}", same ? "unchanged" : "changed", error.what(), words);
        }
        return "entered";
    }};
    CHECK_THAT(nobody.text(), ContainsSubstring("unchanged; no private network: ") &&
                                  ContainsSubstring("denied; the host's network (no private"));
}

TEST_CASE_METHOD(PrivateNetwork,
                 "a bad timeout scale is refused as that, not taken for a missing right",
                 "[private_network]") {
    SpawnOptions options;
    options.argv = {"/proc/self/exe", "--network", "auto", "no such test case"};
    options.environment["TEST_TUNNEL_TIMEOUT_SCALE"] = "fast";
    auto process = Process::spawn(std::move(options));
    REQUIRE(process.wait(Deadline::after(std::chrono::seconds{30})));
    CHECK(process.status()->code() == 1);
    CHECK_THAT(process.err(), ContainsSubstring("TEST_TUNNEL_TIMEOUT_SCALE is 'fast'"));
}

TEST_CASE("the host's network is the one that is there: nothing changes", "[private_network]") {
    const auto before = situation();
    CHECK(enter_network(NetworkMode::host) == "the host's network");
    CHECK(situation() == before);
}

TEST_CASE_METHOD(PrivateNetwork, "automatic and private enter a private network and say so",
                 "[private_network]") {
    for (const auto mode : {NetworkMode::automatic, NetworkMode::isolated}) {
        const auto before = network_namespace();
        CHECK(enter_network(mode) == "a private network");
        CHECK(network_namespace() != before);
    }
}

TEST_CASE("a network mode is auto, private or host, anything else is refused and named",
          "[private_network]") {
    CHECK(parse_network_mode("auto") == NetworkMode::automatic);
    CHECK(parse_network_mode("private") == NetworkMode::isolated);
    CHECK(parse_network_mode("host") == NetworkMode::host);
    for (const auto* const text : {"", "Host", "private ", "none"}) {
        CHECK_THROWS_MATCHES(parse_network_mode(text), InvalidConfig,
                             MessageMatches(ContainsSubstring(fmt::format("'{}'", text)) &&
                                            ContainsSubstring("auto, private or host")));
    }
}

TEST_CASE("the network mode comes from the environment, automatic without", "[private_network]") {
    ::unsetenv(variable);
    CHECK(network_mode_from_environment() == NetworkMode::automatic);
    ::setenv(variable, "", 1);
    CHECK(network_mode_from_environment() == NetworkMode::automatic);
    ::setenv(variable, "private", 1);
    CHECK(network_mode_from_environment() == NetworkMode::isolated);
    ::setenv(variable, "host", 1);
    CHECK(network_mode_from_environment() == NetworkMode::host);
    ::setenv(variable, "elsewhere", 1);
    CHECK_THROWS_AS(network_mode_from_environment(), InvalidConfig);
}
