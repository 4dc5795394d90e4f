#pragma once

#include <cstddef>

#include "../address.hpp"
#include "platform.hpp"

#if TEST_TUNNEL_LINUX
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "system.hpp"
#include "unique_fd.hpp"
#endif

namespace test_tunnel::detail {

#if TEST_TUNNEL_LINUX

/// How much waits at the end `local` of a connection, whoever owns it, to be read by its owner:
/// bytes that have arrived, and one for the end of the stream, also while that is still to come. 0
/// where the owner has read all of it, or it is not known (sock_diag(7)).
inline std::size_t unread_at(const Endpoint& local, const Endpoint& remote) {
    const UniqueFd fd{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)};
    struct {
        nlmsghdr head;
        inet_diag_req_v2 body;
    } request{};
    request.head.nlmsg_len = sizeof request;
    request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request.head.nlmsg_flags = NLM_F_REQUEST;
    request.body.sdiag_family = static_cast<std::uint8_t>(local.address.family());
    request.body.sdiag_protocol = IPPROTO_TCP;
    request.body.idiag_states = ~0U;
    auto& id = request.body.id;
    id.idiag_sport = htons(local.port);
    id.idiag_dport = htons(remote.port);
    const auto from = local.address.packed();
    const auto to = remote.address.packed();
    std::memcpy(&id.idiag_src[0], from.data(), from.size());
    std::memcpy(&id.idiag_dst[0], to.data(), to.size());
    id.idiag_if = local.address.scope();
    id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
    id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    std::array<char, 4096> answer{};
    if (!fd || ::send(fd.get(), &request, sizeof request, 0) == -1) {
        return 0;
    }
    const auto length =
        retry_eintr([&] { return ::recv(fd.get(), answer.data(), answer.size(), 0); });
    nlmsghdr head{};
    inet_diag_msg body{};
    if (length < static_cast<ssize_t>(NLMSG_HDRLEN + sizeof body)) {
        return 0;
    }
    std::memcpy(&head, answer.data(), sizeof head);
    if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY) {
        return 0;
    }
    std::memcpy(&body, answer.data() + NLMSG_HDRLEN, sizeof body);
    const bool ended = body.idiag_state != TCP_ESTABLISHED;
    return std::max<std::size_t>(body.idiag_rqueue, ended ? 0 : 1);
}

#else

inline std::size_t unread_at(const Endpoint& /*local*/, const Endpoint& /*remote*/) {
    return 0;
}

#endif

} // namespace test_tunnel::detail
