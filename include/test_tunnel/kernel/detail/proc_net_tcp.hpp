#pragma once

// How Linux answers where it has no sock_diag: the tables of all TCP and UDP sockets under /proc.

#include "test_tunnel/base/detail/platform.hpp"

#if TEST_TUNNEL_LINUX

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/file_io.hpp"
#include "test_tunnel/kernel/detail/proc_files.hpp"
#include "test_tunnel/kernel/tcp_socket.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel::detail {

/// Reads an endpoint as a table has it, "0100007F:18E6": the address as 32-bit words in the
/// machine's byte order, and the port.
inline Endpoint parse_table_endpoint(std::string_view text) {
    const auto colon = std::min(text.find(':'), text.size());
    std::string packed;
    for (std::size_t i = 0; i + 8 <= colon; i += 8) {
        std::uint32_t word = 0;
        std::from_chars(&text[i], &text[i] + 8, word, 16);
        packed.append(reinterpret_cast<const char*>(&word), sizeof word); // NOLINT(*-reinterpret-*)
    }
    Endpoint result{Address::from_packed(packed), 0};
    std::from_chars(text.data() + colon + 1, text.data() + text.size(), result.port, 16);
    return result;
}

/// Returns all sockets of these tables, which have the same columns for TCP and UDP
/// (proc_pid_net(5)).
inline std::vector<TcpSocket> sockets_of(const std::array<const char*, 2>& tables) {
    std::vector<TcpSocket> result;
    for (const auto* const table : tables) {
        const auto content = read_file(table).value_or("");
        std::string_view rest{content};
        rest.remove_prefix(std::min(rest.find('\n'), rest.size())); // the headings
        while (rest.size() > 1) {
            rest.remove_prefix(1);
            auto line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(line.size());
            next_word(line); // number
            TcpSocket socket;
            socket.local = parse_table_endpoint(next_word(line));
            socket.remote = parse_table_endpoint(next_word(line));
            const auto state = next_word(line);
            socket.dials = state == "02";   // TCP_SYN_SENT
            socket.listens = state == "0A"; // TCP_LISTEN
            for (int skipped = 0; skipped < 5; ++skipped) {
                next_word(line); // queues, timer, retransmits, user, timeout
            }
            const auto inode = next_word(line);
            std::from_chars(inode.data(), inode.data() + inode.size(), socket.inode);
            result.push_back(socket);
        }
    }
    return result;
}

/// Returns all TCP sockets.
inline std::vector<TcpSocket> tcp_sockets() {
    return sockets_of({"/proc/self/net/tcp", "/proc/self/net/tcp6"});
}

/// Returns all UDP sockets that are bound, in the same form; none of them listens.
inline std::vector<TcpSocket> bound_udp_sockets() {
    return sockets_of({"/proc/self/net/udp", "/proc/self/net/udp6"});
}

} // namespace test_tunnel::detail

#endif
