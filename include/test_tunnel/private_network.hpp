#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "address.hpp"
#include "deadline.hpp"
#include "detail/platform.hpp"
#include "detail/system.hpp"
#include "detail/unique_fd.hpp"
#include "error.hpp"
#include "socket.hpp"
#include "watch.hpp"

#if TEST_TUNNEL_LINUX
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>

#include <array>
#include <memory>

#include "detail/rtnetlink.hpp"
#endif

namespace test_tunnel {

/// Moves this process into a network namespace of its own, where no port is taken, no other process
/// is met, no packet leaves, and IPv6 is there: `lo` is up and has, besides 127.0.0.1 and ::1,
/// 192.0.2.1, 192.0.2.2, 2001:db8::1 and 2001:db8::2. Processes started from now on share it.
///
/// Takes the right to do so (root has it) or, without that, an unprivileged user namespace, in
/// which the caller's user and group are mapped to themselves and to nobody else: a tool that is
/// started as root and drops its privileges needs the real root.
///
/// Throws PrivateNetworkUnavailable, having changed nothing, where the system does not allow it,
/// where it is not Linux, or where this process has more than one thread.
void enter_private_network();

/// In which network a test runs.
enum class NetworkMode {
    /// A private one where the system allows it, else the host's.
    automatic,
    isolated,
    host
};

/// "auto", "private" or "host"; throws InvalidConfig for anything else.
inline NetworkMode parse_network_mode(std::string_view text) {
    if (text == "auto") {
        return NetworkMode::automatic;
    }
    if (text == "private") {
        return NetworkMode::isolated;
    }
    if (text == "host") {
        return NetworkMode::host;
    }
    throw InvalidConfig{fmt::format("'{}' is no network: auto, private or host", text)};
}

/// From the environment variable `TEST_TUNNEL_NETWORK`; `automatic` where it is not set.
inline NetworkMode network_mode_from_environment() {
    const char* text = std::getenv("TEST_TUNNEL_NETWORK"); // NOLINT(concurrency-mt-unsafe)
    return text == nullptr || *text == '\0' ? NetworkMode::automatic : parse_network_mode(text);
}

/// Enters the network that `mode` asks for and says which one it is, in words for a log. Throws
/// PrivateNetworkUnavailable where `mode` insists on a private one.
inline std::string enter_network(NetworkMode mode) {
    if (mode == NetworkMode::host) {
        return "the host's network";
    }
    try {
        enter_private_network();
        return "a private network";
    } catch (const PrivateNetworkUnavailable& error) {
        if (mode == NetworkMode::isolated) {
            throw;
        }
        return fmt::format("the host's network ({})", error.what());
    }
}

#if TEST_TUNNEL_LINUX

namespace detail {

/// Whether it was written; false also where there is no such file.
inline bool write_file(const std::string& path, std::string_view content) {
    const UniqueFd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    return file && ::write(file.get(), content.data(), content.size()) ==
                       static_cast<ssize_t>(content.size());
}

inline std::size_t thread_count() {
    const std::unique_ptr<DIR, int (*)(DIR*)> tasks{::opendir("/proc/self/task"), ::closedir};
    std::size_t count = 0;
    while (tasks != nullptr) {
        const dirent* entry = ::readdir(tasks.get()); // NOLINT(concurrency-mt-unsafe): own stream
        if (entry == nullptr) {
            break;
        }
        count += entry->d_name[0] == '.' ? 0 : 1;
    }
    return count;
}

/// As the owner of a user namespace: without it neither network nor addresses could be set up.
inline void map_to_themselves(uid_t user, gid_t group) {
    write_file("/proc/self/setgroups",
               "deny"); // user_namespaces(7): before gid_map, without rights
    if (!write_file("/proc/self/uid_map", fmt::format("{} {} 1", user, user)) ||
        !write_file("/proc/self/gid_map", fmt::format("{} {} 1", group, group))) {
        throw SystemError{"map the user in a user namespace", errno};
    }
}

/// Sends itself a packet until one arrives, to see that this address of this machine is in use.
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

inline void set_up_loopback() {
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
}

inline void enter_namespaces(int flags) {
    const uid_t user = ::geteuid();
    const gid_t group = ::getegid();
    checked(::unshare(flags), "unshare");
    if ((flags & CLONE_NEWUSER) != 0) {
        map_to_themselves(user, group);
    }
    set_up_loopback();
}

/// Tries it in a child: some systems let a process have a user namespace, but no rights in it, and
/// there is no way back.
inline void rehearse(int flags) {
    const pid_t pid = checked(::fork(), "fork");
    if (pid == 0) {
        int code = 0;
        try {
            enter_namespaces(flags);
        } catch (const SystemError& error) {
            code = error.code();
        } catch (...) {
            code = EPERM;
        }
        ::_exit(code);
    }
    int status = 0;
    checked(retry_eintr([&] { return ::waitpid(pid, &status, 0); }), "waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        throw SystemError{"a network in a user namespace",
                          WIFEXITED(status) ? WEXITSTATUS(status) : EPERM};
    }
}

} // namespace detail

inline void enter_private_network() {
    detail::timeout_scale(); // a bad one is refused as that, not taken for a missing right
    if (const auto threads = detail::thread_count(); threads > 1) {
        throw PrivateNetworkUnavailable{fmt::format(
            "a process with {} threads can't enter a private network: do it first", threads)};
    }
    for (const int flags : {CLONE_NEWNET, CLONE_NEWNET | CLONE_NEWUSER}) {
        try {
            detail::rehearse(flags);
            detail::enter_namespaces(flags);
            return;
        } catch (const SystemError& error) {
            if ((flags & CLONE_NEWUSER) != 0) {
                throw PrivateNetworkUnavailable{
                    fmt::format("no private network: {}", error.what())};
            }
        }
    }
}

#else

inline void enter_private_network() {
    throw PrivateNetworkUnavailable{"no private network: only Linux has network namespaces"};
}

#endif

} // namespace test_tunnel
