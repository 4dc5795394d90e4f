#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "../address.hpp"
#include "../process.hpp"
#include "kernel_tables.hpp"
#include "platform.hpp"
#include "sock_diag.hpp"
#include "stragglers.hpp"

namespace test_tunnel::detail {

/// Who listens where a tool should.
struct Listeners {
    /// Where the tool listens; empty where that can't be known, or where it does not.
    std::vector<Endpoint> own;
    /// Another process that listens on the tool's port, as a text; empty where there is none.
    std::string stranger;
};

#if TEST_TUNNEL_LINUX

/// Whether somebody who listens at `actual` gets the connections to `wanted`.
inline bool takes_connections(const Endpoint& actual, const Endpoint& wanted) {
    // Where "::" takes IPv4 too can't be seen here; it is the default.
    const bool same_family = actual.address.family() == wanted.address.family();
    return actual == wanted || (actual.port == wanted.port && actual.address.is_unspecified() &&
                                (same_family || actual.address.family() == Family::ipv6));
}

inline bool contains(const std::vector<std::uint64_t>& inodes, std::uint64_t inode) {
    return std::find(inodes.begin(), inodes.end(), inode) != inodes.end();
}

/// The process that has a socket, where this user may know.
inline std::optional<pid_t> holder_of(std::uint64_t inode) {
    for (const pid_t pid : numbers_in("/proc")) {
        if (contains(socket_inodes(pid).value_or(std::vector<std::uint64_t>{}), inode)) {
            return pid;
        }
    }
    return std::nullopt;
}

/// The processes of the tool that run, and those that stem from them; each behind these.
inline std::vector<pid_t> pids_of(const std::vector<Process>& tool) {
    std::vector<pid_t> result;
    for (const auto& process : tool) {
        if (!process.status()) {
            const auto family = family_of(process.pid());
            result.insert(result.end(), family.begin(), family.end());
        }
    }
    return result;
}

/// From the kernel's tables, without a connection that would use up a tool that takes only one.
inline Listeners find_listeners(const std::vector<Process>& tool, const Endpoint& wanted) {
    std::vector<std::uint64_t> own;
    for (const pid_t pid : pids_of(tool)) {
        if (const auto inodes = socket_inodes(pid)) {
            own.insert(own.end(), inodes->begin(), inodes->end());
        }
    }
    const auto stems_from_tool = [&](pid_t pid) {
        return std::any_of(tool.begin(), tool.end(), [&](const Process& process) {
            return pid == process.pid() || stems_from(pid, process.pid(), process.mark());
        });
    };
    Listeners result;
    for (const auto& socket : listening_sockets()) {
        if (contains(own, socket.inode)) {
            result.own.push_back(socket.local);
        } else if (takes_connections(socket.local, wanted)) {
            const auto holder = holder_of(socket.inode);
            if (!holder || stems_from_tool(*holder)) {
                // Its parents are gone; or of a user that this one may not look into, and who but
                // the tool, which has been told to listen there, would that be?
                result.own.push_back(socket.local);
            } else {
                result.stranger = fmt::format("{} (process {}) at {}", name_of(*holder), *holder,
                                              socket.local.text());
            }
        }
    }
    return result;
}

/// Whether the tool, or somebody of whom that can't be known, takes the connections to `wanted`.
inline bool listens_at(const std::vector<Process>& tool, const Endpoint& wanted) {
    const auto own = find_listeners(tool, wanted).own;
    return std::any_of(own.begin(), own.end(), [&](const Endpoint& endpoint) {
        return takes_connections(endpoint, wanted);
    });
}

#else

inline Listeners find_listeners(const std::vector<Process>& /*tool*/, const Endpoint& /*wanted*/) {
    return {};
}

#endif

} // namespace test_tunnel::detail
