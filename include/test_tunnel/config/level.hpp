#pragma once

#include <string_view>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/error.hpp"

namespace test_tunnel {

/// How thoroughly a tunnel is tested. Each level runs all checks of the level before it, too.
enum class Level {
    /// A few bytes each way, and the end of the stream: what every tunnel must carry. Takes
    /// milliseconds.
    hello,
    /// All that no correct tunnel fails. Takes about a second for each pair of addresses.
    standard,
    /// Load, long silences, and all that a tool does its own way without having declared it
    /// (Traits): for a tool that is known well. Takes up to two minutes for each pair of addresses.
    strict
};

/// Returns the name of the level: "hello", "standard" or "strict".
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

/// Returns the level that has this name: "hello", "standard" or "strict". Throws InvalidConfig,
/// which lists these, for any other text.
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
