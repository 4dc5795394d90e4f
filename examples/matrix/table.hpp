#pragma once

// The table: a row for each tool, a column for each group of checks, and in each cell what came of
// it on each combination; then what the tool was seen to do its own way.

#include <test_tunnel/base/text.hpp>
#include <test_tunnel/report/detail/use_text.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reading.hpp"

namespace matrix {

/// The combinations, in the order in which they are shown.
inline constexpr std::array<std::string_view, 4> combinations{"4→4", "4→6", "6→4", "6→6"};

/// "data" of "data.bulk.up".
inline std::string group_of(const CheckResult& check) {
    return check.id.substr(0, check.id.find('.'));
}

/// What came of a whole run.
enum class Verdict { passed, failed, stopped, untested };

inline Verdict verdict_of(const Report& report) {
    return report.passed()                                 ? Verdict::passed
           : report.count(Outcome::failed) > 0             ? Verdict::failed
           : !report.error.empty() || report.pairs.empty() ? Verdict::stopped
                                                           : Verdict::untested;
}

constexpr const char* text_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::passed:
            return "passed";
        case Verdict::failed:
            return "failed";
        case Verdict::stopped:
            return "stopped";
        case Verdict::untested:
            return "not all tested";
    }
    return "unknown";
}

/// What came of a group of checks on one combination: the worst of all, in this order: failed,
/// known failure, skipped, passed, not applicable. Nothing: it was not tested there.
inline std::optional<Outcome> outcome_of(const Report& report, std::string_view group,
                                         std::string_view combination) {
    constexpr std::array order{Outcome::failed, Outcome::known_failure, Outcome::skipped,
                               Outcome::passed, Outcome::not_applicable};
    std::optional<std::size_t> worst;
    for (const auto& entry : report.pairs) {
        if (entry.pair.name() != combination) {
            continue;
        }
        for (const auto& check : entry.checks) {
            if (group_of(check) == group) {
                const auto place = static_cast<std::size_t>(
                    std::find(order.begin(), order.end(), check.outcome) - order.begin());
                worst = std::min(worst.value_or(place), place);
            }
        }
    }
    return worst ? std::optional{order.at(*worst)} : std::nullopt;
}

/// All groups of checks of any run, in the order in which they are run.
inline std::vector<std::string> groups_of(const std::vector<Run>& runs) {
    std::vector<std::string> result;
    for (const auto& run : runs) {
        for (const auto& entry : run.report.pairs) {
            std::size_t next = 0; // a new one comes behind all that have come before it
            for (const auto& check : entry.checks) {
                const auto group = group_of(check);
                auto known = std::find(result.begin(), result.end(), group);
                if (known == result.end()) {
                    known =
                        result.insert(result.begin() + static_cast<std::ptrdiff_t>(next), group);
                }
                next = std::max(next, static_cast<std::size_t>(known - result.begin()) + 1);
            }
        }
    }
    return result;
}

/// A column for something that correct tools do differently.
struct Habit {
    /// The name of the trait.
    std::string_view trait;
    /// How the column is called.
    std::string_view title;
};

inline constexpr std::array habits{
    Habit{"half_close", "half-close"},      Habit{"reset", "reset"},
    Habit{"passes_eof", "passes the end"},  Habit{"binds_source", "source"},
    Habit{"reports_source", "reports"},     Habit{"refuses", "refuses"},
    Habit{"speaks_first", "client's word"}, Habit{"connects_eagerly", "dials"}};

/// What the tool was seen to do, each value once: "full"; "up: full, down: none" where directions
/// differ; empty where nothing was seen.
inline std::string shown(const Report& report, std::string_view trait) {
    using Values = std::vector<std::string>;
    std::map<std::string, Values> values; // by direction
    for (const auto& entry : report.pairs) {
        for (const auto& check : entry.checks) {
            for (const auto& [name, value] : check.shown) {
                const auto dot = name.find('.');
                if (name.substr(0, dot) != trait) {
                    continue;
                }
                auto& known = values[dot == std::string::npos ? "" : name.substr(dot + 1)];
                if (std::find(known.begin(), known.end(), value) == known.end()) {
                    known.push_back(value);
                }
            }
        }
    }
    const auto text = [](const Values& some) { return joined(some, " or "); };
    if (values.size() == 2 && values.contains("up") && values["up"] == values["down"]) {
        return text(values["up"]);
    }
    std::string result;
    for (const auto* const direction : {"", "up", "down"}) {
        if (values.contains(direction)) {
            result += fmt::format("{}{}{}{}", result.empty() ? "" : ", ", direction,
                                  *direction == '\0' ? "" : ": ", text(values[direction]));
        }
    }
    return result;
}

/// The shortest time that a tool took on any pair; empty where none is known.
inline std::string shortest(const Report& report, std::optional<Duration> PairResult::*member) {
    std::optional<Duration> result;
    for (const auto& entry : report.pairs) {
        if (const auto& time = entry.*member) {
            result = std::min(result.value_or(*time), *time);
        }
    }
    return result ? test_tunnel::text_of(*result) : std::string{};
}

/// What the tool has used on one combination, the one where that was most.
inline ResourceUse use_of(const Report& report) {
    ResourceUse result;
    for (const auto& entry : report.pairs) {
        result.cpu = std::max(result.cpu, entry.use.cpu);
        result.peak_memory = std::max(result.peak_memory, entry.use.peak_memory);
        result.peak_descriptors = std::max(result.peak_descriptors, entry.use.peak_descriptors);
    }
    return result;
}

/// The columns of a tool's own ways, with what it was seen to do.
inline std::vector<std::pair<std::string, std::string>> ways_of(const Report& report) {
    std::vector<std::pair<std::string, std::string>> result;
    for (const auto& [trait, title] : habits) {
        result.emplace_back(title, shown(report, trait));
    }
    result.emplace_back("starts in", shortest(report, &PairResult::start));
    result.emplace_back("stops in", shortest(report, &PairResult::stop));
    const auto use = use_of(report);
    const bool is_known = use.peak_memory > 0;
    result.emplace_back("CPU time", is_known ? test_tunnel::text_of(use.cpu) : "");
    result.emplace_back("memory", is_known ? test_tunnel::detail::megabytes(use.peak_memory) : "");
    result.emplace_back("descriptors",
                        use.peak_descriptors > 0 ? fmt::format("{}", use.peak_descriptors) : "");
    return result;
}

} // namespace matrix
