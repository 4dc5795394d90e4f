#pragma once

// What came of a soak, for readers.

#include <string>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/report/soak.hpp"

namespace test_tunnel::detail {

/// Returns a line for the whole, and one for each trend and time.
inline std::vector<std::string> soak_lines(const Soak& soak) {
    std::vector<std::string> result{fmt::format("{} rounds, {} connections in {}", soak.rounds,
                                                soak.connections, text_of(soak.duration))};
    for (const auto& time : soak.times) {
        result.push_back(fmt::format("{}: p50 {}, p90 {}, p99 {}, max {}", time.name,
                                     text_of(time.p50), text_of(time.p90), text_of(time.p99),
                                     text_of(time.max)));
    }
    for (const auto& trend : soak.trends) {
        result.push_back(fmt::format("{}: {:.0f} → {:.0f}, {:+.3g} per 1,000 connections",
                                     trend.name, trend.first, trend.last, trend.per_thousand));
    }
    if (soak.trends.empty()) {
        result.emplace_back("too few rounds to tell whether the tool comes to hold more and more");
    }
    return result;
}

} // namespace test_tunnel::detail
