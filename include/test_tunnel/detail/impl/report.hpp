#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../report.hpp"
#include "../fmt.hpp"
#include "../inline.hpp"
#include "../text.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE bool PairResult::passed() const {
    return count(Outcome::passed) > 0 && count(Outcome::failed) == 0;
}

TEST_TUNNEL_INLINE std::size_t PairResult::count(Outcome outcome) const {
    return static_cast<std::size_t>(
        std::count_if(checks.begin(), checks.end(),
                      [&](const CheckResult& check) { return check.outcome == outcome; }));
}

TEST_TUNNEL_INLINE std::string PairResult::text() const {
    const auto failed = count(Outcome::failed);
    const auto tried = failed + count(Outcome::passed);
    auto result = passed() ? fmt::format("passed: {} check{}", tried, tried == 1 ? "" : "s")
                           : fmt::format("FAILED: {} of {} checks", failed, tried);
    for (const auto outcome : {Outcome::not_applicable, Outcome::skipped}) {
        if (const auto number = count(outcome); number > 0) {
            result += fmt::format(", {} {}", number, text_of(outcome));
        }
    }
    return result + ", " + detail::text_of(duration);
}

TEST_TUNNEL_INLINE bool Report::passed() const {
    return error.empty() && !pairs.empty() && passed_pairs() == pairs.size();
}

TEST_TUNNEL_INLINE std::size_t Report::passed_pairs() const {
    return static_cast<std::size_t>(std::count_if(
        pairs.begin(), pairs.end(), [](const PairResult& result) { return result.passed(); }));
}

TEST_TUNNEL_INLINE std::size_t Report::count(Outcome outcome) const {
    std::size_t result = 0;
    for (const auto& entry : pairs) {
        result += entry.count(outcome);
    }
    return result;
}

TEST_TUNNEL_INLINE std::string Report::text() const {
    auto result = summary();
    for (const auto& entry : pairs) {
        for (const auto& check : entry.checks) {
            if (check.outcome == Outcome::failed) {
                result += "\n\n" + check.account;
            }
        }
    }
    return result;
}

namespace detail {

/// The text is true of this pair, too.
TEST_TUNNEL_INLINE void add_text(TextsOfPairs& texts, const std::string& text,
                                 const PairResult& entry) {
    auto known = std::find_if(texts.begin(), texts.end(),
                              [&](const auto& other) { return other.first == text; });
    if (known == texts.end()) {
        known = texts.insert(texts.end(), {text, {}});
    }
    if (known->second.empty() || known->second.back() != entry.pair.name()) {
        known->second.push_back(entry.pair.name());
    }
}

} // namespace detail

TEST_TUNNEL_INLINE TextsOfPairs Report::notes() const {
    TextsOfPairs result;
    for (const auto& entry : pairs) {
        std::map<std::string_view, std::vector<std::string_view>> not_applicable; // by the reason
        for (const auto& check : entry.checks) {
            for (const auto& note : check.notes) {
                detail::add_text(result, note.text, entry);
            }
            if (check.outcome == Outcome::not_applicable) {
                not_applicable[check.account].push_back(check.id);
            }
        }
        for (const auto& [reason, ids] : not_applicable) {
            detail::add_text(result,
                             fmt::format("{} {} not applicable: {}", detail::joined(ids, ", "),
                                         ids.size() == 1 ? "is" : "are", reason),
                             entry);
        }
    }
    return result;
}

TEST_TUNNEL_INLINE TextsOfPairs Report::failures() const {
    TextsOfPairs result;
    for (const auto& entry : pairs) {
        for (const auto& check : entry.checks) {
            if (check.outcome == Outcome::failed) {
                detail::add_text(result, check.id, entry);
            }
        }
    }
    return result;
}

TEST_TUNNEL_INLINE TunnelFailure::TunnelFailure(Report report)
    : Error{report.text()}, report_{std::make_shared<const Report>(std::move(report))} {}

} // namespace test_tunnel
