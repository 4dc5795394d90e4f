#pragma once

#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace test_tunnel {

/// How a report is shown on a console. The defaults suit files, and whatever else is no terminal.
struct ConsoleStyle {
    /// Whether to show colours, with the escape sequences of ECMA-48 that every terminal knows.
    bool colours = false;
    /// Whether to write "✓" and "✗" in place of "ok" and "FAIL".
    bool marks = false;
};

namespace detail {

/// Returns the value of an environment variable; empty where it is not set.
inline std::string_view environment_value(const char* name) {
    // The library starts no thread that could change it.
    const char* text = std::getenv(name); // NOLINT(concurrency-mt-unsafe)
    return text == nullptr ? "" : text;
}

/// Whether the file descriptor is a terminal that knows escape sequences.
inline bool is_terminal(int fd) {
    return ::isatty(fd) == 1 && environment_value("TERM") != "dumb";
}

/// Whether the environment says that text is encoded in UTF-8: the first of these variables that is
/// set decides (POSIX §8.2).
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

/// Returns the style that suits what the file descriptor `fd` writes to. On a terminal there are
/// colours, unless the environment variable `NO_COLOR` is set and not empty (no-color.org), and
/// marks, where the locale's encoding is UTF-8. Elsewhere, and where `TERM` is "dumb", there is
/// neither.
inline ConsoleStyle console_style(int fd) {
    const bool is_terminal = detail::is_terminal(fd);
    return {.colours = is_terminal && detail::environment_value("NO_COLOR").empty(),
            .marks = is_terminal && detail::is_utf8_locale()};
}

} // namespace test_tunnel
