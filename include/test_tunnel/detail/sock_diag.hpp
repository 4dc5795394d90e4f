#pragma once

#include "platform.hpp"

#if TEST_TUNNEL_LINUX

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "../address.hpp"
#include "kernel_tables.hpp"
#include "system.hpp"
#include "unique_fd.hpp"

namespace test_tunnel::detail {

/// What the kernel says of TCP sockets (sock_diag(7)) without going through all of the machine's
/// connections, as reading /proc/net/tcp does: that takes ten milliseconds even where there are
/// none.
class SockDiag {
public:
    /// All sockets that listen; nothing where this kernel has no sock_diag.
    static std::optional<std::vector<TcpSocket>> listening() {
        std::vector<TcpSocket> result;
        for (const int family : {AF_INET, AF_INET6}) {
            inet_diag_req_v2 request{};
            request.sdiag_family = static_cast<std::uint8_t>(family);
            request.idiag_states = 1U << TCP_LISTEN;
            if (!ask(request, NLM_F_DUMP, result)) {
                return std::nullopt;
            }
        }
        return result;
    }

    /// The end of a connection that is `local` here; nothing where there is none, or no sock_diag.
    static std::optional<TcpSocket> connection(const Endpoint& local, const Endpoint& remote) {
        auto request = question_about(local);
        request.id.idiag_dport = htons(remote.port);
        remote.address.packed().copy(bytes(request.id.idiag_dst), sizeof request.id.idiag_dst);
        return find(request);
    }

    /// Who takes new connections to `local`; nothing where nobody does, or there is no sock_diag.
    static std::optional<TcpSocket> listener(const Endpoint& local) {
        const auto found = find(question_about(local));
        return found && found->listens ? found : std::nullopt;
    }

private:
    static inet_diag_req_v2 question_about(const Endpoint& local) {
        inet_diag_req_v2 request{};
        request.sdiag_family = static_cast<std::uint8_t>(local.address.family());
        request.idiag_states = ~0U;
        auto& id = request.id;
        id.idiag_sport = htons(local.port);
        local.address.packed().copy(bytes(id.idiag_src), sizeof id.idiag_src);
        id.idiag_if = local.address.scope();
        id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
        id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
        return request;
    }

    static std::optional<TcpSocket> find(const inet_diag_req_v2& request) {
        std::vector<TcpSocket> result;
        ask(request, 0, result);
        return result.empty() ? std::nullopt : std::optional{result.front()};
    }

    template <typename Words>
    static char* bytes(Words& words) {
        return reinterpret_cast<char*>(&words[0]); // NOLINT(*-reinterpret-cast): the kernel's words
    }

    static Endpoint endpoint(std::uint8_t family, std::uint16_t port, const char* address,
                             std::uint32_t scope) {
        const std::string_view packed{address, family == AF_INET ? 4U : 16U};
        return {Address::from_packed(packed, scope), ntohs(port)};
    }

    /// False where the kernel does not answer such questions.
    static bool ask(inet_diag_req_v2 body, int flags, std::vector<TcpSocket>& result) {
        const UniqueFd fd{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)};
        if (!fd) {
            return false;
        }
        body.sdiag_protocol = IPPROTO_TCP;
        struct {
            nlmsghdr head;
            inet_diag_req_v2 body;
        } request{};
        request.head.nlmsg_len = sizeof request;
        request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
        request.head.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
        request.body = body;
        if (::send(fd.get(), &request, sizeof request, 0) == -1) {
            return false;
        }
        for (;;) {
            std::array<char, 32768> answer; // NOLINT(*-member-init): as far as it is filled
            const auto length =
                retry_eintr([&] { return ::recv(fd.get(), answer.data(), answer.size(), 0); });
            if (length <= 0) {
                return false;
            }
            if (const auto done =
                    parse({answer.data(), static_cast<std::size_t>(length)}, result)) {
                return *done;
            }
            if (flags == 0) {
                return true; // one question, one answer
            }
        }
    }

    /// True at the end of an answer, false for an error, nothing where there is more to come.
    static std::optional<bool> parse(std::string_view answer, std::vector<TcpSocket>& result) {
        while (answer.size() >= sizeof(nlmsghdr)) {
            nlmsghdr head{};
            std::memcpy(&head, answer.data(), sizeof head);
            if (head.nlmsg_type == NLMSG_DONE) {
                return true;
            }
            if (head.nlmsg_type == NLMSG_ERROR) {
                nlmsgerr error{};
                std::memcpy(&error, answer.data() + NLMSG_HDRLEN, sizeof error);
                return error.error == -ENOENT; // "no such socket" is an answer too
            }
            inet_diag_msg body{};
            std::memcpy(&body, answer.data() + NLMSG_HDRLEN, sizeof body);
            auto& id = body.id;
            result.push_back(
                {endpoint(body.idiag_family, id.idiag_sport, bytes(id.idiag_src), id.idiag_if),
                 endpoint(body.idiag_family, id.idiag_dport, bytes(id.idiag_dst), id.idiag_if),
                 body.idiag_state == TCP_LISTEN, body.idiag_inode, body.idiag_rqueue,
                 body.idiag_state == TCP_ESTABLISHED});
            answer.remove_prefix(std::min<std::size_t>(NLMSG_ALIGN(head.nlmsg_len), answer.size()));
        }
        return std::nullopt;
    }
};

/// All TCP sockets that listen in this network namespace.
inline std::vector<TcpSocket> listening_sockets() {
    if (auto known = SockDiag::listening()) {
        return *std::move(known);
    }
    auto result = tcp_sockets();
    std::erase_if(result, [](const TcpSocket& socket) { return !socket.listens; });
    return result;
}

/// Whether a process has a TCP socket in this network; false where this user may not know.
inline bool has_tcp_socket(pid_t pid) {
    const auto directory = fmt::format("/proc/{}/fd", pid);
    std::vector<std::uint64_t> nameless;
    for (const int fd : numbers_in(directory)) {
        const auto path = fmt::format("{}/{}", directory, fd);
        const auto inode = socket_inode(path);
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
    return !nameless.empty() && (is_among(listening_sockets()) || is_among(tcp_sockets()));
}

} // namespace test_tunnel::detail

#endif
