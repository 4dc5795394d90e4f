#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "test_tunnel/base/error.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/kernel/tcp_sockets.hpp"
#include "test_tunnel/net/address.hpp"
#include "test_tunnel/process/detail/orphans.hpp"
#include "test_tunnel/process/process.hpp"

namespace test_tunnel::detail {

/// Who listens where a tool should.
struct Listeners {
    /// Whether the system can tell; all else is empty where it can't.
    bool are_known = false;
    /// Where the tool listens.
    std::vector<Endpoint> own{};
    /// Another process that listens on the tool's port, as a text; empty where there is none.
    std::string other_process{};

    /// Whether the tool takes the connections to `wanted`.
    [[nodiscard]] bool take_connections(const Endpoint& wanted) const {
        return std::any_of(own.begin(), own.end(), [&](const Endpoint& endpoint) {
            return takes_connections(endpoint, wanted);
        });
    }

    /// Throws Unexpected where there is another process.
    void require_no_other_process(const Endpoint& wanted) const {
        if (!other_process.empty()) {
            throw Unexpected{fmt::format("the tool listens at {}", wanted),
                             other_process + ", which is another process"};
        }
    }
};

inline bool contains(const std::vector<std::uint64_t>& inodes, std::uint64_t inode) {
    return std::find(inodes.begin(), inodes.end(), inode) != inodes.end();
}

/// Returns the processes of the tool that run, and those that stem from them, each behind those
/// that stem from itself.
inline std::vector<pid_t> pids_of(const std::vector<Process>& tool) {
    std::vector<pid_t> result;
    for (const auto& process : tool) {
        if (!process.status()) {
            const auto family = descendants_of(process.pid());
            result.insert(result.end(), family.begin(), family.end());
        }
    }
    return result;
}

/// Returns the numbers of all sockets of these processes, as far as this user may know.
inline std::vector<std::uint64_t> inodes_of(const std::vector<pid_t>& pids) {
    std::vector<std::uint64_t> result;
    for (const pid_t pid : pids) {
        if (const auto inodes = socket_inodes(pid)) {
            result.insert(result.end(), inodes->begin(), inodes->end());
        }
    }
    return result;
}

/// Returns whether a process is one of the tool's, or stems from one of them.
inline bool is_of(const std::vector<Process>& tool, pid_t pid) {
    return std::any_of(tool.begin(), tool.end(), [&](const Process& process) {
        return pid == process.pid() || is_descendant_of(pid, process.pid(), process.mark());
    });
}

/// Looks in the system's tables for who listens: a connection would use up a tool that takes only
/// one.
inline Listeners find_listeners(const std::vector<Process>& tool, const Endpoint& wanted) {
    const auto sockets = listening_sockets();
    if (!sockets) {
        return {};
    }
    const auto own = inodes_of(pids_of(tool));
    Listeners result{.are_known = true};
    for (const auto& socket : *sockets) {
        if (contains(own, socket.inode)) {
            result.own.push_back(socket.local);
        } else if (takes_connections(socket.local, wanted)) {
            const auto owner = owner_of_socket(socket.inode);
            if (!owner || is_of(tool, *owner)) {
                // Its parents are gone; or of a user that this one may not look into, and who but
                // the tool, which has been told to listen there, would that be?
                result.own.push_back(socket.local);
            } else {
                result.other_process = fmt::format("{} (process {}) at {}", process_name(*owner),
                                                   *owner, socket.local.text());
            }
        }
    }
    return result;
}

/// Returns whether the tool has a UDP socket that receives what is sent to `wanted`, or a process
/// into which this user may not look; nothing where the system can't tell.
inline std::optional<bool> receives_udp(const std::vector<Process>& tool, const Endpoint& wanted) {
    const auto sockets = udp_receivers(wanted);
    if (!sockets) {
        return std::nullopt;
    }
    return std::any_of(sockets->begin(), sockets->end(), [&](std::uint64_t inode) {
        const auto owner = owner_of_socket(inode);
        return !owner || is_of(tool, *owner);
    });
}

} // namespace test_tunnel::detail
