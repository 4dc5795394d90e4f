#pragma once

#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace test_tunnel {

/// How a report is shown on a console. The default is for files and for whatever else is no
/// terminal.
struct ConsoleStyle {
    /// Colours, by the escape sequences of ECMA-48 that every terminal knows.
    bool colours = false;
    /// "✓" and "✗" for "ok" and "FAIL".
    bool marks = false;
};

namespace detail {

/// An environment variable; empty where it is not set.
inline std::string_view environment_value(const char* name) {
    // The library starts no thread that could change it.
    const char* text = std::getenv(name); // NOLINT(concurrency-mt-unsafe)
    return text == nullptr ? "" : text;
}

/// Whether it can be written to with escape sequences.
inline bool is_terminal(int fd) {
    return ::isatty(fd) == 1 && environment_value("TERM") != "dumb";
}

/// Whether characters are encoded in UTF-8 here, by the first of the variables that is set (POSIX
/// §8.2).
inline bool is_utf8_locale() {
    for (const auto* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        if (const auto value = environment_value(name); !value.empty()) {
            return value.find("UTF-8") != std::string_view::npos ||
                   value.find("utf8") != std::string_view::npos;
        }
    }
    return false;
}

} // namespace detail

/// What suits the file descriptor: colours on a terminal, unless the environment has a `NO_COLOR`
/// that is not empty (no-color.org) or the `TERM` "dumb"; marks where the locale is UTF-8, too.
inline ConsoleStyle console_style(int fd) {
    const bool is_terminal = detail::is_terminal(fd);
    return {.colours = is_terminal && detail::environment_value("NO_COLOR").empty(),
            .marks = is_terminal && detail::is_utf8_locale()};
}

} // namespace test_tunnel
