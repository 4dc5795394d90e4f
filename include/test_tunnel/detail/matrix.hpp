#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "../report.hpp"

namespace test_tunnel::detail {

/// A group of checks on one pair.
struct MatrixCell {
    /// Failed where one did, else passed where one did, else what the last one is; nothing where
    /// there is none.
    std::optional<Outcome> outcome{};
    std::size_t passed = 0;
    std::size_t failed = 0;
    std::size_t checks = 0;

    void add(Outcome other) {
        ++checks;
        passed += other == Outcome::passed ? 1 : 0;
        failed += other == Outcome::failed ? 1 : 0;
        outcome = failed > 0 ? Outcome::failed : passed > 0 ? Outcome::passed : other;
    }
};

/// One row a pair, one column a group of checks: those whose ids have the same first word.
struct Matrix {
    std::vector<std::string> groups;
    std::vector<std::vector<MatrixCell>> rows;
};

inline std::string check_group(const CheckResult& check) {
    return check.id.substr(0, check.id.find('.'));
}

inline Matrix matrix_of(const Report& report) {
    Matrix result;
    const auto column_of = [&](const CheckResult& check) {
        const auto group = check_group(check);
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

/// A check that took long, and on which pair.
struct SlowCheck {
    std::string id;
    Duration duration{};
    std::string pair{};
};

/// The three checks that took longest, each by its slowest pair, the slowest first; none where
/// there are no more than three.
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
