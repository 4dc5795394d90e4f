#pragma once

// The one header that includes spdlog: what it costs to compile is paid once.
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <memory>

namespace test_tunnel {

/// Where the library tells what it does: `info` the story of a run, `debug` the details and all
/// that the tools print.
using Logger = spdlog::logger;

/// A logger of its own (not registered anywhere) that writes to standard error, one line an
/// entry, at `info`.
inline std::shared_ptr<Logger> stderr_logger() {
    auto log =
        std::make_shared<Logger>("test-tunnel", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    log->set_pattern("%H:%M:%S.%e %L %v");
    return log;
}

} // namespace test_tunnel
