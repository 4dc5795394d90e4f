#pragma once

#include <string_view>
#include <vector>

#include "check.hpp"
#include "config.hpp"
#include "detail/inline.hpp"

namespace test_tunnel {

/// All checks, in the order in which they are run: `hello` first; where that fails, no other is
/// tried.
// A new one stands at the end of a file in checks/.
std::vector<Check> checks();

namespace detail {

/// Whether `text` matches `pattern`, in which `*` stands for any characters.
constexpr bool matches(std::string_view pattern, std::string_view text) {
    const auto star = pattern.find('*');
    if (star == std::string_view::npos) {
        return pattern == text;
    }
    if (!text.starts_with(pattern.substr(0, star))) {
        return false;
    }
    const auto rest = pattern.substr(star + 1);
    for (std::size_t skipped = star; skipped <= text.size(); ++skipped) {
        if (matches(rest, text.substr(skipped))) {
            return true;
        }
    }
    return false;
}

} // namespace detail

/// Those of `all` that the configuration selects by its level, `only` and `except`, in the same
/// order. Throws InvalidConfig for a pattern that matches none, and where nothing is selected.
std::vector<Check> select(const Config& config, std::vector<Check> all);

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "detail/impl/checks.hpp" // IWYU pragma: export
#endif
