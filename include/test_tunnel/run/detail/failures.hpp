#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/log.hpp"
#include "test_tunnel/report/detail/alike.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel::detail {

/// The failures of one tunnel that have been told in full, so that none is told twice.
class Failures {
public:
    /// Logs a failure of the pair of that name: in full, or in two lines where it is known from
    /// another pair.
    void tell(CheckResult& failure, const std::string& pair, Logger& log) {
        const bool was_told = std::any_of(told_.begin(), told_.end(), [&](const auto& entry) {
            return entry.first == pair && fails_alike(entry.second, failure);
        });
        if (was_told) { // in an earlier round
            log.error("{}, as before", failure.account.substr(0, failure.account.find('\n')));
            return;
        }
        recognize(failure, pair);
        if (failure.same_as.empty()) {
            told_.emplace_back(pair, failure);
        }
        log.error(failure.told());
    }

    /// Sets `same_as` where a failure is known from another pair.
    void recognize(CheckResult& failure, const std::string& pair) const {
        const auto known = std::find_if(told_.begin(), told_.end(), [&](const auto& entry) {
            return entry.first != pair && fails_alike(entry.second, failure);
        });
        failure.same_as = known == told_.end() ? std::string{} : known->first;
    }

private:
    /// Each with the name of its pair.
    std::vector<std::pair<std::string, CheckResult>> told_;
};

} // namespace test_tunnel::detail
