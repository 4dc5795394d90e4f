#pragma once

// How Linux answers: questions about TCP sockets by netlink.

#include "test_tunnel/base/detail/platform.hpp"

#if TEST_TUNNEL_LINUX

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "test_tunnel/base/detail/system.hpp"
#include "test_tunnel/base/detail/unique_fd.hpp"
#include "test_tunnel/kernel/tcp_socket.hpp"
#include "test_tunnel/net/address.hpp"

namespace test_tunnel::detail {

/// What the kernel says of TCP sockets (sock_diag(7)) without going through all of the machine's
/// connections, as reading /proc/net/tcp does: that takes ten milliseconds even where there are
/// none.
class SockDiag {
public:
    /// Returns all sockets that listen; nothing where this kernel has no sock_diag.
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

    /// Returns the end of a connection that is `local` here; nothing where there is none, or no
    /// sock_diag.
    static std::optional<TcpSocket> connection(const Endpoint& local, const Endpoint& remote) {
        auto request = question_about(local);
        request.id.idiag_dport = htons(remote.port);
        remote.address.packed().copy(bytes(request.id.idiag_dst), sizeof request.id.idiag_dst);
        return find(request);
    }

    /// Returns the socket that takes new connections to `local`; nothing where there is none, or no
    /// sock_diag.
    static std::optional<TcpSocket> listener(const Endpoint& local) {
        const auto found = find(question_about(local));
        return found && found->listens ? found : std::nullopt;
    }

    /// Calls `take(inode, state)` for each socket that is in one of `states`, a bit for each number
    /// in <netinet/tcp.h>; returns false where this kernel has no sock_diag. Goes through all of
    /// the machine's connections, unless this network has a table of its own.
    template <typename Take>
    static bool for_each(std::uint32_t states, Take take) {
        for (const int family : {AF_INET, AF_INET6}) {
            inet_diag_req_v2 request{};
            request.sdiag_family = static_cast<std::uint8_t>(family);
            request.idiag_states = states;
            if (!ask(request, NLM_F_DUMP, [&](const inet_diag_msg& found) {
                    take(std::uint64_t{found.idiag_inode}, found.idiag_state);
                })) {
                return false;
            }
        }
        return true;
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
    template <typename Words>
    static const char* bytes(const Words& words) {
        return reinterpret_cast<const char*>(&words[0]); // NOLINT(*-reinterpret-cast): as above
    }

    static Endpoint endpoint(std::uint8_t family, std::uint16_t port, const char* address,
                             std::uint32_t scope) {
        const std::string_view packed{address, family == AF_INET ? 4U : 16U};
        return {Address::from_packed(packed, scope), ntohs(port)};
    }

    /// Asks the kernel; returns false where it does not answer such questions.
    static bool ask(const inet_diag_req_v2& body, int flags, std::vector<TcpSocket>& result) {
        return ask(body, flags, [&](const inet_diag_msg& found) {
            constexpr unsigned keep_alive_timer = 2; // tr of /proc/net/tcp, proc_pid_net(5)
            const auto& id = found.id;
            TcpSocket socket;
            socket.local =
                endpoint(found.idiag_family, id.idiag_sport, bytes(id.idiag_src), id.idiag_if);
            socket.remote =
                endpoint(found.idiag_family, id.idiag_dport, bytes(id.idiag_dst), id.idiag_if);
            socket.listens = found.idiag_state == TCP_LISTEN;
            socket.inode = found.idiag_inode;
            socket.unread = found.idiag_rqueue;
            socket.established = found.idiag_state == TCP_ESTABLISHED;
            if (socket.established && found.idiag_timer == keep_alive_timer) {
                socket.asks_in = std::chrono::milliseconds{found.idiag_expires};
            }
            result.push_back(socket);
        });
    }

    /// Asks the kernel, and calls `take` with each socket of the answer; returns false where it
    /// does not answer such questions.
    template <typename Take>
    static bool ask(inet_diag_req_v2 body, int flags, Take take) {
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
            if (const auto done = parse({answer.data(), static_cast<std::size_t>(length)}, take)) {
                return *done;
            }
            if (flags == 0) {
                return true; // one question, one answer
            }
        }
    }

    /// Returns true at the end of an answer, false for an error, nothing where there is more to
    /// come.
    template <typename Take>
    static std::optional<bool> parse(std::string_view answer, Take& take) {
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
            take(body);
            answer.remove_prefix(std::min<std::size_t>(NLMSG_ALIGN(head.nlmsg_len), answer.size()));
        }
        return std::nullopt;
    }
};

} // namespace test_tunnel::detail

#endif
