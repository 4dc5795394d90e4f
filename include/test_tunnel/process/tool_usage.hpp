#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/kernel/usage.hpp" // IWYU pragma: export
#include "test_tunnel/process/server.hpp"

namespace test_tunnel {

/// Returns the processes of the tool, and those that stem from it, wherever they are; none where
/// the system can't tell (on all but Linux).
std::vector<pid_t> processes_of(const Server& tool);

/// Returns what all processes of the tool use together, including those that stem from it, as far
/// as this user may know. Nothing where the system can't tell (on all but Linux).
std::optional<ToolUsage> usage_of(const Server& tool);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/process/detail/tool_usage.ipp" // IWYU pragma: export
#endif
