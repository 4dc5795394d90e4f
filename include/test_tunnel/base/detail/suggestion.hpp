#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/base/text.hpp"

namespace test_tunnel::detail {

/// Returns how many characters have to be put in, left out or changed to make `b` of `a`
/// (Levenshtein).
inline std::size_t edits(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (const char character : a) {
        auto diagonal = row[0]++;
        for (std::size_t k = 0; k < b.size(); ++k) {
            const auto changed = diagonal + (character == b[k] ? 0 : 1);
            diagonal = row[k + 1];
            row[k + 1] = std::min({changed, diagonal + 1, row[k] + 1});
        }
    }
    return row.back();
}

/// Returns the one of `all` that was most likely meant by `word`: it is written nearly the same, or
/// begins with `word`. Empty where none is like it.
inline std::string nearest(std::string_view word, const std::vector<std::string>& all) {
    const auto best = std::min_element(all.begin(), all.end(), [&](const auto& a, const auto& b) {
        return edits(word, a) < edits(word, b);
    });
    if (best != all.end() && edits(word, *best) <= std::max<std::size_t>(2, best->size() / 3)) {
        return *best;
    }
    const auto longer = std::find_if(all.begin(), all.end(), [&](const std::string& other) {
        return !word.empty() && other.starts_with(word);
    });
    return longer == all.end() ? std::string{} : *longer;
}

/// Returns the end of an error's text: "; did you mean half_close? There are: binds_source, …".
inline std::string suggestion(std::string_view word, const std::vector<std::string>& all) {
    const auto best = nearest(word, all);
    return fmt::format("; {}: {}",
                       best.empty() ? "there are" : fmt::format("did you mean {}? There are", best),
                       joined(all, ", "));
}

} // namespace test_tunnel::detail
