#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test_tunnel/report/report.hpp"

namespace test_tunnel::detail {

/// What came of a group of checks on one pair.
struct MatrixCell {
    /// Failed where a check of the group failed, else a known failure where there is one, else
    /// passed where one passed, else the outcome of the last one. Nothing where there is no check.
    std::optional<Outcome> outcome{};
    std::size_t passed = 0;
    std::size_t failed = 0;
    std::size_t known_failures = 0;
    std::size_t checks = 0;

    void add(Outcome other) {
        ++checks;
        passed += other == Outcome::passed ? 1 : 0;
        failed += other == Outcome::failed ? 1 : 0;
        known_failures += other == Outcome::known_failure ? 1 : 0;
        outcome = failed > 0           ? Outcome::failed
                  : known_failures > 0 ? Outcome::known_failure
                  : passed > 0         ? Outcome::passed
                                       : other;
    }
};

/// A table with a row for each pair and a column for each group of checks: the checks whose ids
/// have the same first word.
struct Matrix {
    std::vector<std::string> groups;
    std::vector<std::vector<MatrixCell>> rows;
};

/// The group of a check: the first word of its id.
inline std::string check_group(std::string_view id) {
    return std::string{id.substr(0, id.find('.'))};
}

inline Matrix matrix_of(const Report& report) {
    Matrix result;
    const auto column_of = [&](const CheckResult& check) {
        const auto group = check_group(check.id);
        const auto found = std::find(result.groups.begin(), result.groups.end(), group);
        const auto index = static_cast<std::size_t>(found - result.groups.begin());
        if (found == result.groups.end()) {
            result.groups.push_back(group);
        }
        return index;
    };
    for (const auto& entry : report.pairs) {
        for (const auto& check : entry.checks) {
            static_cast<void>(column_of(check));
        }
    }
    for (const auto& entry : report.pairs) {
        auto& row = result.rows.emplace_back(result.groups.size());
        for (const auto& check : entry.checks) {
            row[column_of(check)].add(check.outcome);
        }
    }
    return result;
}

/// A check that took long, and the pair on which it did.
struct SlowCheck {
    std::string id;
    Duration duration{};
    std::string pair{};
};

/// The three checks that took longest, the slowest first, each with its slowest pair. None where
/// there are no more than three checks.
inline std::vector<SlowCheck> slowest_of(const Report& report) {
    constexpr std::size_t most = 3;
    std::vector<SlowCheck> result;
    for (const auto& entry : report.pairs) {
        for (const auto& check : entry.checks) {
            if (check.outcome == Outcome::skipped) {
                continue; // it took no time
            }
            auto known = std::find_if(result.begin(), result.end(),
                                      [&](const auto& other) { return other.id == check.id; });
            if (known == result.end()) {
                known = result.insert(result.end(), {check.id});
            }
            if (check.duration > known->duration) {
                known->duration = check.duration;
                known->pair = entry.pair.name();
            }
        }
    }
    std::stable_sort(result.begin(), result.end(), [](const auto& left, const auto& right) {
        return left.duration > right.duration;
    });
    result.resize(result.size() > most ? most : 0);
    return result;
}

} // namespace test_tunnel::detail
