#pragma once

#include <test_tunnel/config/config.hpp>
#include <test_tunnel/discovery/pairs.hpp>

namespace support {

/// The configuration of a run that prints nothing.
inline test_tunnel::ConfigProg quiet_config(
    test_tunnel::Level level = test_tunnel::Level::standard) {
    test_tunnel::ConfigProg config;
    config.level = level;
    config.log->set_level(spdlog::level::off);
    return config;
}

inline test_tunnel::Pair any_pair(const test_tunnel::Config& config) {
    return test_tunnel::discover_pairs(config).front();
}

} // namespace support
