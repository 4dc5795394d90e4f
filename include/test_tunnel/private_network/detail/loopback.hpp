#pragma once

// How a private network is set up.

#include "test_tunnel/base/detail/platform.hpp"

#if TEST_TUNNEL_LINUX

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/net/detail/poll.hpp"
#include "test_tunnel/net/detail/socket_address.hpp"

#include "test_tunnel/private_network/detail/hosts_file.hpp"
#include "test_tunnel/private_network/detail/rtnetlink.hpp"

namespace test_tunnel::detail {

/// Returns whether the file was written; false also where there is no such file.
inline bool write_file(const std::string& path, std::string_view content) {
    const UniqueFd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    return file && ::write(file.get(), content.data(), content.size()) ==
                       static_cast<ssize_t>(content.size());
}

/// Maps the user and the group to themselves in a user namespace: without it, neither network nor
/// addresses could be set up.
inline void map_to_themselves(uid_t user, gid_t group) {
    write_file("/proc/self/setgroups",
               "deny"); // user_namespaces(7): before gid_map, without rights
    if (!write_file("/proc/self/uid_map", fmt::format("{} {} 1", user, user)) ||
        !write_file("/proc/self/gid_map", fmt::format("{} {} 1", group, group))) {
        throw SystemError{"map the user in a user namespace", errno};
    }
}

/// Sends packets to an address of this machine until one arrives, which shows that the address is
/// in use. Throws SystemError after five seconds.
inline void wait_until_reachable(const Address& address) {
    const auto attempted = fmt::format("send a packet to {}, an address of this machine", address);
    const UniqueFd fd{checked(
        ::socket(static_cast<int>(address.family()), SOCK_DGRAM | SOCK_CLOEXEC, 0), attempted)};
    SocketAddress any_port{{address, 0}};
    checked(::bind(fd.get(), any_port.data(), *any_port.length()), attempted);
    auto own = SocketAddress{socket_name(::getsockname, fd.get(), attempted)};
    const auto deadline = Deadline::after(std::chrono::seconds{5});
    pollfd arrival{.fd = fd.get(), .events = POLLIN, .revents = 0};
    do {
        if (deadline.passed()) {
            throw SystemError{attempted, ETIMEDOUT};
        }
        // Fails as long as there is no route at all.
        ::sendto(fd.get(), "?", 1, 0, own.data(), *own.length());
    } while (!poll_once({&arrival, 1}, std::chrono::microseconds{200}));
}

/// Sets up the loopback interface, and returns the addresses that are in use then. Throws
/// SystemError.
inline std::vector<Address> set_up_loopback() {
    for (const auto* const interface : {"all", "default", "lo"}) {
        // Where IPv6 is off by default (Docker). Off for good, or not writable: then without it.
        write_file(fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", interface), "0");
    }
    Rtnetlink kernel;
    const unsigned loopback = if_nametoindex("lo");
    kernel.set_up(loopback);
    std::vector<Address> addresses{Address::parse("127.0.0.1")};
    for (const auto* const text : {"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"}) {
        const auto address = Address::parse(text);
        try {
            kernel.add_address(loopback, address);
            addresses.push_back(address);
        } catch (const SystemError& error) {
            const bool no_ipv6 = error.code() == EACCES || error.code() == EOPNOTSUPP ||
                                 error.code() == EAFNOSUPPORT;
            if (address.family() == Family::ipv4 || !no_ipv6) {
                throw;
            }
        }
    }
    if (addresses.back().family() == Family::ipv6) {
        addresses.push_back(Address::parse("::1"));
    }
    // The kernel puts an IPv6 address in use a moment later, from a work queue; a connection that
    // is tried before would lose a packet and wait a second for the next.
    for (const auto& address : addresses) {
        wait_until_reachable(address);
    }
    return addresses;
}

/// Enters another network namespace, whose connections have a table of their own. By default all
/// namespaces of a machine share one, which is so large that going through it, to see in which
/// state a tool's sockets are, takes milliseconds. Does nothing where the system can't (on Linux
/// before 6.1).
inline void enter_own_table() {
    constexpr std::uint32_t entries = 8192; // many connections for a test, and few to look at
    constexpr std::array limits{"/proc/sys/net/ipv4/tcp_max_tw_buckets",
                                "/proc/sys/net/ipv4/tcp_max_syn_backlog"};
    std::array<std::string, limits.size()> before;
    for (std::size_t i = 0; i < limits.size(); ++i) {
        before.at(i) = read_file(limits.at(i)).value_or("");
    }
    // It holds for those that are made from here.
    if (!write_file("/proc/sys/net/ipv4/tcp_child_ehash_entries", fmt::format("{}", entries)) ||
        ::unshare(CLONE_NEWNET) == -1) {
        return;
    }
    // What the kernel derives from the size of the table is to be as it is elsewhere.
    for (std::size_t i = 0; i < limits.size(); ++i) {
        write_file(limits.at(i), before.at(i));
    }
}

enum class Names { wanted, none };

/// Enters new namespaces and sets up their network; returns whether the addresses have the names
/// that are wanted. Throws SystemError where there is no network.
inline bool enter_namespaces(int flags, Names names) {
    const uid_t user = ::geteuid();
    const gid_t group = ::getegid();
    checked(::unshare(flags), "unshare");
    if ((flags & CLONE_NEWUSER) != 0) {
        map_to_themselves(user, group);
    }
    enter_own_table();
    const auto addresses = set_up_loopback();
    if (names == Names::wanted) {
        try {
            mount_hosts(addresses);
        } catch (const SystemError&) {
            return false;
        }
    }
    return true;
}

/// Tries to enter the namespaces in a child: some systems let a process have a user namespace, but
/// no rights in it, and there is no way back. Returns whether there can be names. Throws
/// SystemError.
inline Names rehearse(int flags) {
    constexpr int without_names = 255; // no errno
    const pid_t pid = checked(::fork(), "fork");
    if (pid == 0) {
        int code = 0;
        try {
            code = enter_namespaces(flags, Names::wanted) ? 0 : without_names;
        } catch (const SystemError& error) {
            code = error.code();
        } catch (...) {
            code = EPERM;
        }
        ::_exit(code);
    }
    int status = 0;
    checked(retry_eintr([&] { return ::waitpid(pid, &status, 0); }), "waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == without_names) {
        return Names::none;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        throw SystemError{"a network in a user namespace",
                          WIFEXITED(status) ? WEXITSTATUS(status) : EPERM};
    }
    return Names::wanted;
}

} // namespace test_tunnel::detail

#endif
