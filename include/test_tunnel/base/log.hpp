#pragma once

// The one header that includes spdlog: what it costs to compile is paid once.
#include <spdlog/logger.h>

#include <memory>

#include "test_tunnel/base/detail/inline.hpp"

namespace test_tunnel {

/// Where the library tells what it does: at `info` how a run goes, at `debug` the details and all
/// that the tools print.
using Logger = spdlog::logger;

/// How the logger below writes a line: the time, the first letter of the level, the text.
inline constexpr const char* log_pattern = "%H:%M:%S.%e %L %v";

/// Returns a new logger, not registered anywhere, that writes to standard error, one line an entry,
/// at `info`.
std::shared_ptr<Logger> stderr_logger();

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/base/detail/log.ipp" // IWYU pragma: export
#endif
