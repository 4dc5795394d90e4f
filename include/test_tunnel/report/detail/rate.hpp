#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace test_tunnel::detail {

/// A rate of failures, as parts of 1.
struct Rate {
    double observed;
    /// Between these two it lies with a confidence of 95 %.
    double least;
    double most;
};

/// Returns what `failed` failures in `rounds` rounds, of which there must be one, say of the rate:
/// the score interval (E. B. Wilson, 1927).
inline Rate rate_of(std::size_t failed, std::size_t rounds) {
    constexpr double z = 1.959964; // of the normal distribution, both sides
    const auto n = static_cast<double>(rounds);
    const auto observed = static_cast<double>(failed) / n;
    const auto middle = (observed + z * z / (2 * n)) / (1 + z * z / n);
    const auto half =
        z / (1 + z * z / n) * std::sqrt(observed * (1 - observed) / n + z * z / (4 * n * n));
    return {.observed = observed,
            .least = failed == 0 ? 0 : std::max(0.0, middle - half),
            .most = failed == rounds ? 1 : std::min(1.0, middle + half)};
}

} // namespace test_tunnel::detail
