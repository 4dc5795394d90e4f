#pragma once

// What the programs with a command line share: main of the adapter to Catch2, check_command.

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>

#include "../checks.hpp"
#include "../config.hpp"
#include "../deadline.hpp"
#include "../discovery.hpp"
#include "../error.hpp"
#include "../level.hpp"
#include "fmt.hpp"
#include "number.hpp"

namespace test_tunnel::detail {

/// All of `text` as a number; throws InvalidConfig that names the option.
template <typename Number>
Number parse_number(std::string_view option, std::string_view text) {
    if (const auto number = read_number<Number>(text)) {
        return *number;
    }
    throw InvalidConfig{fmt::format("{} takes a number, not '{}'", option, text)};
}

/// The value of --idle. Throws InvalidConfig.
inline Duration parse_idle(std::string_view text) {
    const auto seconds = parse_number<double>("--idle", text);
    constexpr double a_day = 86400;
    if (std::isnan(seconds) || seconds < 0 || seconds > a_day) {
        throw InvalidConfig{fmt::format("--idle takes 0 to 86400 seconds, not '{}'", text)};
    }
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>{seconds});
}

/// The scale is read only once, and by whoever asks first: so the value of --timeout-scale goes the
/// same way as from outside. Throws InvalidConfig.
inline void set_timeout_scale(const std::string& text) {
    try {
        parse_timeout_scale(text.c_str());
    } catch (const InvalidConfig&) {
        throw InvalidConfig{
            fmt::format("--timeout-scale takes a number above 0 and up to 1000, not '{}'", text)};
    }
    ::setenv("TEST_TUNNEL_TIMEOUT_SCALE", text.c_str(), 1); // NOLINT(concurrency-mt-unsafe)
}

/// The library's checks, a line each.
inline std::string list_of_checks() {
    std::string text;
    for (const auto& check : checks()) {
        text += fmt::format("{:<24} {:<9} {}\n", check.id, text_of(check.level), check.title);
    }
    return text;
}

/// The combinations that this machine has, or what `config.pairs` selects of them, a line each.
/// Throws as `discover_pairs` does.
inline std::string list_of_pairs(const Config& config) {
    std::string text;
    for (const auto& pair : discover_pairs(config)) {
        text += fmt::format("{}  {}\n", pair.name(), pair.text());
    }
    return text;
}

} // namespace test_tunnel::detail
