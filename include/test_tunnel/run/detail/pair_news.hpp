#pragma once

#include <functional>
#include <string>

#include "test_tunnel/config/observer.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel::detail {

/// What is told of a pair while it is being tested.
struct PairNews {
    /// A check begins.
    std::function<void(const Observer::Progress& progress)> check_begins;
    /// A check has failed: to be logged, and `same_as` to be set.
    std::function<void(CheckResult& failure, const std::string& pair)> check_failed;
};

} // namespace test_tunnel::detail
