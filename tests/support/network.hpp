#pragma once

// The private network that every test case has for itself, changed as a test needs it.

#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>
#include <test_tunnel/base/detail/system.hpp>
#include <test_tunnel/config/config.hpp>
#include <test_tunnel/discovery/addresses.hpp>
#include <test_tunnel/net/socket.hpp>
#include <test_tunnel/private_network/detail/loopback.hpp>
#include <test_tunnel/private_network/detail/rtnetlink.hpp>
#include <test_tunnel/private_network/private_network.hpp>
#include <test_tunnel/process/process.hpp>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

/// The addresses of a private network, before a test changes anything there.
inline std::set<test_tunnel::Address> private_addresses() {
    std::set<test_tunnel::Address> result;
    for (const auto* const text :
         {"127.0.0.1", "192.0.2.1", "192.0.2.2", "::1", "2001:db8::1", "2001:db8::2"}) {
        result.insert(test_tunnel::Address::parse(text));
    }
    return result;
}

inline std::set<test_tunnel::Address> own_addresses() {
    test_tunnel::Config config;
    config.log->set_level(spdlog::level::off);
    const auto found = test_tunnel::get_addresses(config);
    return {found.begin(), found.end()};
}

/// Whether no interface is up but `lo`, and that has an address as no machine's: asked without the
/// library, so that a fault in it is not taken for a network that is not private.
inline bool in_private_network() {
    ifaddrs* list = nullptr;
    test_tunnel::detail::checked(::getifaddrs(&list), "getifaddrs");
    const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner{list, ::freeifaddrs};
    bool only_loopback = true;
    bool has_address = false;
    for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
        const std::string_view name = entry->ifa_name;
        only_loopback = only_loopback && (name == "lo" || (entry->ifa_flags & IFF_UP) == 0);
        has_address = has_address ||
                      (entry->ifa_addr != nullptr && entry->ifa_addr->sa_family == AF_INET &&
                       test_tunnel::Address::from_sockaddr(*entry->ifa_addr).text() == "192.0.2.1");
    }
    return only_loopback && has_address;
}

/// A test case with this fixture may do to its network what it likes: it skips where the process
/// did not get one of its own (as an error that would be in CI: `TEST_TUNNEL_NETWORK=private`).
class PrivateNetwork {
public:
    PrivateNetwork() {
        if (!in_private_network()) {
            SKIP("this is no private network");
        }
        if (::access("/proc/net/if_inet6", F_OK) != 0) {
            SKIP("this kernel has no IPv6");
        }
    }
};

/// Skips the test case where this user can't configure a network by commands: capabilities in a
/// user namespace don't survive exec.
inline void require_root() {
    if (::geteuid() != 0) {
        SKIP("needs root: it configures its network by `ip`");
    }
}

/// Runs a command of iproute2 and says whether it succeeded. Skips where there is no such command.
inline bool run(std::vector<std::string> argv) {
    require_root();
    test_tunnel::SpawnOptions options;
    options.argv = std::move(argv);
    options.environment["PATH"] += ":/usr/sbin:/sbin";
    try {
        auto process = test_tunnel::Process::spawn(std::move(options));
        const auto status = process.wait(test_tunnel::Deadline::after(std::chrono::seconds{30}));
        INFO(process.command_line() << ": " << process.out() << process.err());
        REQUIRE(status.has_value());
        return status->code() == 0;
    } catch (const test_tunnel::ToolMissing& error) {
        SKIP(error.what());
        return false;
    }
}

/// Runs `ip` with these arguments, which has to succeed.
inline void run_ip(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "ip");
    INFO("ip " << arguments.at(1) << ' ' << arguments.at(2));
    const bool succeeded = run(std::move(arguments)); // may skip, which REQUIRE takes for a failure
    REQUIRE(succeeded);
}

/// Two interfaces that are connected with each other, both down and without any address.
inline void add_interfaces(const std::string& name, const std::string& peer) {
    if (!run({"ip", "link", "add", name, "type", "veth", "peer", "name", peer})) {
        SKIP("this kernel has no interfaces of type veth");
    }
    for (const auto& each : {name, peer}) {
        // Else the kernel adds a link-local address of its own.
        run_ip({"link", "set", each, "addrgenmode", "none"});
    }
}

/// Two interfaces that are connected with each other, both up and without any address.
inline void add_interfaces_up(const std::string& name, const std::string& peer) {
    add_interfaces(name, peer);
    run_ip({"link", "set", name, "up"});
    run_ip({"link", "set", peer, "up"});
}

/// Adds an address to an interface that is up, and returns when it can be used.
inline test_tunnel::Address add_address(const std::string& text, const std::string& interface) {
    const auto plain = test_tunnel::Address::parse(text);
    const bool ipv6 = plain.family() == test_tunnel::Family::ipv6;
    std::vector<std::string> arguments{"address", "add", text + (ipv6 ? "/128" : "/32"), "dev",
                                       interface};
    if (ipv6) {
        arguments.emplace_back("nodad");
    }
    run_ip(arguments);
    const auto address =
        test_tunnel::Address::from_packed(plain.packed(), if_nametoindex(interface.c_str()));
    test_tunnel::detail::wait_until_reachable(address);
    return address;
}

/// Adds addresses to `lo`, without `ip`: so it needs no root.
inline void add_loopback_addresses(const std::vector<test_tunnel::Address>& addresses) {
    test_tunnel::detail::Rtnetlink kernel;
    const auto loopback = if_nametoindex("lo");
    for (const auto& address : addresses) {
        kernel.add_address(loopback, address);
    }
    for (const auto& address : addresses) {
        test_tunnel::detail::wait_until_reachable(address);
    }
}

/// Takes addresses away from `lo`.
inline void remove_addresses(const std::vector<std::string>& texts) {
    for (const auto& text : texts) {
        const std::string bits = text == "127.0.0.1"                   ? "/8"
                                 : text.find(':') == std::string::npos ? "/32"
                                                                       : "/128";
        run_ip({"address", "del", text + bits, "dev", "lo"});
    }
}

inline void disable_ipv6() {
    for (const auto* const interface : {"all", "default", "lo"}) {
        REQUIRE(test_tunnel::detail::write_file(
            fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", interface), "1"));
    }
}

} // namespace support
