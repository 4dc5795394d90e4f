#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <optional>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/kernel/processes.hpp"
#include "test_tunnel/process/detail/listeners.hpp"
#include "test_tunnel/process/server.hpp"
#include "test_tunnel/process/tool_usage.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE std::vector<pid_t> processes_of(const Server& tool) {
    std::vector<pid_t> result;
    // Whoever has left its parents has been adopted.
    for (const pid_t pid : descendants_of(::getpid())) {
        if (pid != ::getpid() && detail::is_of(tool.processes(), pid)) {
            result.push_back(pid);
        }
    }
    return result;
}

TEST_TUNNEL_INLINE std::optional<ToolUsage> usage_of(const Server& tool) {
    return usage_of(processes_of(tool));
}

} // namespace test_tunnel
