#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/kernel/udp_sockets.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/process/detail/listeners.hpp"
#include "test_tunnel/process/listening.hpp"
#include "test_tunnel/process/server.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE std::optional<bool> listens_at(const Server& tool, const Endpoint& endpoint) {
    const auto found = detail::find_listeners(tool.processes(), endpoint);
    return found.are_known ? std::optional{found.take_connections(endpoint)} : std::nullopt;
}

TEST_TUNNEL_INLINE std::vector<Endpoint> listens_elsewhere(const Server& tool,
                                                           const Endpoint& wanted) {
    if (tool.processes().size() > 1) {
        return {};
    }
    auto own = detail::find_listeners(tool.processes(), wanted).own;
    std::erase(own, wanted);
    return own;
}

TEST_TUNNEL_INLINE OwnListeners own_listeners(const Server& tool) {
    const auto sockets = listening_sockets();
    const auto& process = tool.processes().back();
    if (!sockets || process.status()) {
        return {};
    }
    const auto pids = descendants_of(process.pid());
    const auto own = detail::inodes_of(pids);
    OwnListeners result{.endpoints = {},
                        .is_idle = pids.size() == 1 && is_idle(pids.front()).value_or(false)};
    for (const auto& socket : *sockets) {
        if (detail::contains(own, socket.inode)) {
            result.endpoints.push_back(socket.local);
        }
    }
    std::sort(result.endpoints.begin(), result.endpoints.end());
    return result;
}

TEST_TUNNEL_INLINE std::optional<bool> receives_at(const Server& tool, const Endpoint& endpoint) {
    return detail::receives_udp(tool.processes(), endpoint);
}

TEST_TUNNEL_INLINE std::vector<Endpoint> receives_elsewhere(const Server& tool,
                                                            const Endpoint& wanted) {
    const auto sockets = udp_sockets();
    if (!sockets || tool.processes().size() > 1) {
        return {};
    }
    const auto own = detail::inodes_of(detail::pids_of(tool.processes()));
    std::vector<Endpoint> result;
    for (const auto& socket : *sockets) {
        if (detail::contains(own, socket.inode) && socket.is_open() && socket.local != wanted &&
            !is_given_to_senders(socket.local.port)) {
            result.push_back(socket.local);
        }
    }
    return result;
}

TEST_TUNNEL_INLINE void require_own_receiver(const Server& tool, const Endpoint& wanted) {
    const auto sockets = udp_sockets_at(wanted);
    if (!sockets || sockets->empty() || receives_at(tool, wanted).value_or(true)) {
        return;
    }
    const auto& socket = sockets->front();
    const auto owner = owner_of_socket(socket.inode);
    throw Unexpected{fmt::format("the tool receives datagrams at {}", wanted),
                     fmt::format("{} does, which is another process",
                                 owner ? fmt::format("{} (process {}) at {}", process_name(*owner),
                                                     *owner, socket.local)
                                       : "somebody")};
}

TEST_TUNNEL_INLINE void require_own_listener(const Server& tool, const Endpoint& wanted) {
    const auto found = detail::find_listeners(tool.processes(), wanted);
    if (found.own.empty()) {
        found.require_no_other_process(wanted);
    }
}

} // namespace test_tunnel
