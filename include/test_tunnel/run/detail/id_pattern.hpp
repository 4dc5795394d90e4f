#pragma once

#include <cstddef>
#include <string_view>

namespace test_tunnel::detail {

/// Whether the whole of `text` matches `pattern`, in which each `*` stands for any characters, or
/// for none.
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

} // namespace test_tunnel::detail
