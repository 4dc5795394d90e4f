#pragma once

#include <string_view>

#include "detail/fmt.hpp"
#include "error.hpp"

namespace test_tunnel {

/// How thoroughly a tunnel is tested. Each level has all of the one before it.
enum class Level {
    /// A few bytes each way and the end of the stream: what every tunnel must pass, in
    /// milliseconds.
    hello,
    /// All that no correct tunnel fails, in about a second a pair.
    standard,
    /// Load, long silences, and whatever a tool does that was not declared. For tools that are
    /// known.
    strict
};

/// "hello", "standard" or "strict".
constexpr const char* text_of(Level level) {
    switch (level) {
        case Level::hello:
            return "hello";
        case Level::standard:
            return "standard";
        case Level::strict:
            return "strict";
    }
    return "unknown";
}

/// "hello", "standard" or "strict"; throws InvalidConfig.
inline Level parse_level(std::string_view text) {
    for (const auto level : {Level::hello, Level::standard, Level::strict}) {
        if (text == text_of(level)) {
            return level;
        }
    }
    throw InvalidConfig{
        fmt::format("'{}' is no level: there are hello, standard and strict", text)};
}

} // namespace test_tunnel
