#pragma once

#include <spdlog/sinks/stdout_sinks.h>

#include <memory>

#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/log.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE std::shared_ptr<Logger> stderr_logger() {
    auto log =
        std::make_shared<Logger>("test-tunnel", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    log->set_pattern(log_pattern);
    return log;
}

} // namespace test_tunnel
