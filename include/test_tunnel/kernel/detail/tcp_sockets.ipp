#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/detail/platform.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/net/address.hpp"

#if TEST_TUNNEL_LINUX
#include <netinet/tcp.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <charconv>

#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/base/detail/number.hpp"
#include "test_tunnel/kernel/detail/proc_files.hpp"
#include "test_tunnel/kernel/detail/proc_net_tcp.hpp"
#include "test_tunnel/kernel/detail/sock_diag.hpp"
#endif

namespace test_tunnel {

TEST_TUNNEL_INLINE bool takes_connections(const Endpoint& listening, const Endpoint& wanted) {
    // Where "::" takes IPv4 too can't be seen here; it is the default.
    const bool same_family = listening.address.family() == wanted.address.family();
    return listening == wanted ||
           (listening.port == wanted.port && listening.address.is_unspecified() &&
            (same_family || listening.address.family() == Family::ipv6));
}

TEST_TUNNEL_INLINE std::optional<std::size_t> unread_bytes(const Endpoint& local,
                                                           const Endpoint& remote) {
    const auto socket = tcp_connection(local, remote);
    return socket ? std::optional{socket->unread} : std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<std::size_t> unread_until_end(const Endpoint& local,
                                                               const Endpoint& remote) {
    const auto socket = tcp_connection(local, remote);
    return socket
               ? std::optional{std::max<std::size_t>(socket->unread, socket->established ? 1 : 0)}
               : std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<ListeningProcess> who_listens_at(const Endpoint& endpoint) {
    for (const auto& socket : listening_sockets().value_or(std::vector<TcpSocket>{})) {
        if (takes_connections(socket.local, endpoint)) {
            const auto owner = owner_of_socket(socket.inode);
            return ListeningProcess{
                owner ? fmt::format("{} (process {})", process_name(*owner), *owner) : "somebody",
                socket.local};
        }
    }
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::string TcpStates::text() const {
    std::string result;
    const auto add = [&](std::size_t count, std::string_view name) {
        if (count > 0) {
            result += fmt::format("{}{} {}", result.empty() ? "" : ", ", count, name);
        }
    };
    add(listen, "listen");
    add(syn_sent, "syn-sent");
    add(established, "established");
    add(fin_wait, "fin-wait");
    add(close_wait, "close-wait");
    add(closing, "closing");
    return result.empty() ? "none" : result;
}

#if TEST_TUNNEL_LINUX

namespace detail {

/// Whether this network has a table of connections of its own, which is small (tcp(7)).
inline bool has_small_table() {
    constexpr int most = 1 << 14;
    auto text = read_file("/proc/sys/net/ipv4/tcp_ehash_entries").value_or("");
    text.resize(std::min(text.find('\n'), text.size()));
    const auto entries = read_number<int>(text).value_or(0); // negative: it shares another one
    return entries > 0 && entries <= most;
}

} // namespace detail

TEST_TUNNEL_INLINE std::optional<TcpStates> tcp_states_of(std::vector<std::uint64_t> inodes) {
    TcpStates result;
    if (inodes.empty()) {
        return result;
    }
    if (!detail::has_small_table()) {
        return std::nullopt;
    }
    std::sort(inodes.begin(), inodes.end());
    constexpr std::uint32_t states = 1U << TCP_LISTEN | 1U << TCP_SYN_SENT | 1U << TCP_ESTABLISHED |
                                     1U << TCP_FIN_WAIT1 | 1U << TCP_FIN_WAIT2 |
                                     1U << TCP_CLOSE_WAIT | 1U << TCP_CLOSING | 1U << TCP_LAST_ACK;
    const bool is_known = detail::SockDiag::for_each(states, [&](std::uint64_t inode, int state) {
        if (!std::binary_search(inodes.begin(), inodes.end(), inode)) {
            return;
        }
        ++(state == TCP_LISTEN                                ? result.listen
           : state == TCP_SYN_SENT                            ? result.syn_sent
           : state == TCP_ESTABLISHED                         ? result.established
           : state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 ? result.fin_wait
           : state == TCP_CLOSE_WAIT                          ? result.close_wait
                                                              : result.closing);
    });
    return is_known ? std::optional{result} : std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<std::vector<TcpSocket>> listening_sockets() {
    if (auto known = detail::SockDiag::listening()) {
        return known;
    }
    auto result = detail::tcp_sockets();
    std::erase_if(result, [](const TcpSocket& socket) { return !socket.listens; });
    return result;
}

TEST_TUNNEL_INLINE std::optional<std::vector<std::uint64_t>> udp_receivers(
    const Endpoint& endpoint) {
    std::vector<std::uint64_t> result;
    for (const auto& socket : detail::bound_udp_sockets()) {
        if (takes_connections(socket.local, endpoint)) {
            result.push_back(socket.inode);
        }
    }
    return result;
}

TEST_TUNNEL_INLINE std::optional<std::vector<TcpSocket>> connected_sockets(
    const std::vector<std::uint64_t>& inodes) {
    auto result = detail::tcp_sockets();
    const auto datagrams = detail::bound_udp_sockets();
    result.insert(result.end(), datagrams.begin(), datagrams.end());
    std::erase_if(result, [&](const TcpSocket& socket) {
        return socket.remote.port == 0 ||
               std::find(inodes.begin(), inodes.end(), socket.inode) == inodes.end();
    });
    return result;
}

TEST_TUNNEL_INLINE std::optional<TcpSocket> tcp_connection(const Endpoint& local,
                                                           const Endpoint& remote) {
    return detail::SockDiag::connection(local, remote);
}

TEST_TUNNEL_INLINE std::optional<TcpSocket> tcp_listener(const Endpoint& endpoint) {
    return detail::SockDiag::listener(endpoint);
}

TEST_TUNNEL_INLINE std::optional<bool> somebody_dials(const Endpoint& target) {
    const auto sockets = detail::tcp_sockets();
    return std::any_of(sockets.begin(), sockets.end(), [&](const TcpSocket& socket) {
        return socket.dials && socket.remote == target;
    });
}

TEST_TUNNEL_INLINE std::optional<std::vector<std::uint64_t>> socket_inodes(pid_t pid) {
    const auto directory = fmt::format("/proc/{}/fd", pid);
    if (::access(directory.c_str(), R_OK) == -1) {
        return std::nullopt;
    }
    std::vector<std::uint64_t> result;
    for (const int fd : detail::numbers_in(directory)) {
        if (const auto inode = detail::socket_inode(fmt::format("{}/{}", directory, fd))) {
            result.push_back(*inode);
        }
    }
    return result;
}

TEST_TUNNEL_INLINE std::optional<pid_t> owner_of_socket(std::uint64_t inode) {
    for (const pid_t pid : detail::numbers_in("/proc")) {
        const auto inodes = socket_inodes(pid).value_or(std::vector<std::uint64_t>{});
        if (std::find(inodes.begin(), inodes.end(), inode) != inodes.end()) {
            return pid;
        }
    }
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<bool> has_tcp_socket(pid_t pid) {
    const auto directory = fmt::format("/proc/{}/fd", pid);
    std::vector<std::uint64_t> nameless;
    for (const int fd : detail::numbers_in(directory)) {
        const auto path = fmt::format("{}/{}", directory, fd);
        const auto inode = detail::socket_inode(path);
        if (!inode) {
            continue;
        }
        std::array<char, 64> name{}; // "TCP", "TCPv6", "MPTCP"
        const auto length =
            ::getxattr(path.c_str(), "system.sockprotoname", name.data(), name.size());
        if (length <= 0) {
            nameless.push_back(*inode); // not every kernel has names for them
        } else if (std::string_view{name.data(), static_cast<std::size_t>(length)}.find("TCP") !=
                   std::string_view::npos) {
            return true;
        }
    }
    const auto is_among = [&](const std::vector<TcpSocket>& sockets) {
        return std::any_of(sockets.begin(), sockets.end(), [&](const TcpSocket& socket) {
            return std::find(nameless.begin(), nameless.end(), socket.inode) != nameless.end();
        });
    };
    return !nameless.empty() &&
           (is_among(listening_sockets().value()) || is_among(detail::tcp_sockets()));
}

TEST_TUNNEL_INLINE std::optional<std::uint64_t> largest_socket_buffers() {
    std::uint64_t result = 0;
    // tcp(7): the least, the first and the greatest size; for IPv6 too.
    for (const auto* const path : {"/proc/sys/net/ipv4/tcp_rmem", "/proc/sys/net/ipv4/tcp_wmem"}) {
        const auto sizes = detail::read_file(path);
        if (!sizes) {
            return std::nullopt;
        }
        const auto line = std::string_view{*sizes}.substr(0, sizes->find('\n'));
        const auto last = line.substr(line.find_last_of("\t ") + 1);
        std::uint64_t size = 0;
        std::from_chars(last.data(), last.data() + last.size(), size);
        result += size;
    }
    return result;
}

TEST_TUNNEL_INLINE bool full_queue_delays_connections() noexcept {
    return true;
}

#else

TEST_TUNNEL_INLINE std::optional<TcpStates> tcp_states_of(std::vector<std::uint64_t> /*inodes*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<std::vector<TcpSocket>> listening_sockets() {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<std::vector<std::uint64_t>> udp_receivers(
    const Endpoint& /*endpoint*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<std::vector<TcpSocket>> connected_sockets(
    const std::vector<std::uint64_t>& /*inodes*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<TcpSocket> tcp_connection(const Endpoint& /*local*/,
                                                           const Endpoint& /*remote*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<TcpSocket> tcp_listener(const Endpoint& /*endpoint*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<bool> somebody_dials(const Endpoint& /*target*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<std::vector<std::uint64_t>> socket_inodes(pid_t /*pid*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<pid_t> owner_of_socket(std::uint64_t /*inode*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<bool> has_tcp_socket(pid_t /*pid*/) {
    return std::nullopt;
}

TEST_TUNNEL_INLINE std::optional<std::uint64_t> largest_socket_buffers() {
    return std::nullopt;
}

TEST_TUNNEL_INLINE bool full_queue_delays_connections() noexcept {
    return false;
}

#endif

} // namespace test_tunnel
