#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/escape.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/interruption.hpp"
#include "test_tunnel/base/text.hpp"
#include "test_tunnel/config/trait_names.hpp"
#include "test_tunnel/config/trait_table.hpp"
#include "test_tunnel/report/detail/matrix.hpp"
#include "test_tunnel/report/detail/rate.hpp"
#include "test_tunnel/report/report.hpp"

namespace test_tunnel {

TEST_TUNNEL_INLINE StopCause stop_cause_of(const std::exception& error) {
    if (dynamic_cast<const ToolMissing*>(&error) != nullptr) {
        return StopCause::tool_missing;
    }
    if (dynamic_cast<const PairsMissing*>(&error) != nullptr) {
        return StopCause::pairs_missing;
    }
    if (dynamic_cast<const NoAddresses*>(&error) != nullptr ||
        dynamic_cast<const NoCombinations*>(&error) != nullptr) {
        return StopCause::no_addresses;
    }
    if (dynamic_cast<const PrivateNetworkUnavailable*>(&error) != nullptr) {
        return StopCause::no_private_network;
    }
    if (dynamic_cast<const Interrupted*>(&error) != nullptr) {
        return StopCause::interrupted;
    }
    return StopCause::other;
}

TEST_TUNNEL_INLINE std::string CheckResult::told() const {
    if (same_as.empty()) {
        return account;
    }
    const auto heading = account.substr(0, account.find('\n'));
    const auto first_line = actual.substr(0, actual.find('\n'));
    return fmt::format("{}, as on {}\n  actual:   {}", heading, same_as,
                       detail::escape_controls(first_line));
}

TEST_TUNNEL_INLINE bool PairResult::passed() const {
    return count(Outcome::passed) + count(Outcome::known_failure) > 0 &&
           count(Outcome::failed) == 0 && count(Outcome::skipped) == 0 && failed_seeds.empty();
}

TEST_TUNNEL_INLINE std::size_t PairResult::count(Outcome outcome) const {
    return static_cast<std::size_t>(
        std::count_if(checks.begin(), checks.end(),
                      [&](const CheckResult& check) { return check.outcome == outcome; }));
}

TEST_TUNNEL_INLINE std::string PairResult::text() const {
    const auto failed = count(Outcome::failed);
    const auto tried = failed + count(Outcome::passed) + count(Outcome::known_failure);
    auto result = passed() ? fmt::format("passed: {} check{}", tried, tried == 1 ? "" : "s")
                           : fmt::format("FAILED: {} of {} checks", failed, tried);
    for (const auto outcome : {Outcome::known_failure, Outcome::not_applicable, Outcome::skipped}) {
        if (const auto number = count(outcome); number > 0) {
            result += fmt::format(", {} {}", number, text_of(outcome));
        }
    }
    return result + ", " + text_of(duration);
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

TEST_TUNNEL_INLINE ResourceUse Report::use() const {
    ResourceUse result;
    for (const auto& entry : pairs) {
        result += entry.use;
    }
    return result;
}

TEST_TUNNEL_INLINE std::string Report::text() const {
    auto result = summary();
    for (const auto& entry : pairs) {
        for (const auto& check : entry.checks) {
            if (check.outcome == Outcome::failed) {
                result += "\n\n" + check.told();
            }
        }
    }
    return result;
}

namespace detail {

/// Adds a pair for which the text is true.
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

namespace detail {

/// Has a list that was declared before grow by what is declared now.
template <typename Value>
void grow(const ListTrait<Value>& row, Traits& traits, const Traits& before) {
    auto all = before.*row.member;
    for (const auto& value : traits.*row.member) {
        if (std::find(all.begin(), all.end(), value) == all.end()) {
            all.push_back(value);
        }
    }
    traits.*row.member = std::move(all);
}

template <typename Value, typename Member>
void grow(const Trait<Value, Member>& /*row*/, Traits& /*traits*/, const Traits& /*before*/) {}

/// For each text of a note of which the tool has shown another value, too, the checks that saw it.
inline std::map<std::string_view, std::vector<std::string_view>> contradictions(
    const std::vector<PairResult>& pairs) {
    std::map<std::string_view, std::set<std::string_view>> values; // by the trait's name
    const auto for_each_note = [&](auto act) {
        for (const auto& entry : pairs) {
            for (const auto& check : entry.checks) {
                for (const auto& note : check.notes) {
                    if (note.shown) {
                        act(check, note);
                    }
                }
            }
        }
    };
    for_each_note([&](const CheckResult& /*check*/, const Note& note) {
        values[note.shown->name].insert(note.shown->value);
    });
    std::map<std::string_view, std::vector<std::string_view>> result;
    for_each_note([&](const CheckResult& check, const Note& note) {
        auto& ids = result[note.text];
        if (values[note.shown->name].size() > 1 &&
            std::find(ids.begin(), ids.end(), check.id) == ids.end()) {
            ids.push_back(check.id);
        }
    });
    return result;
}

/// These ids, but "data.*" in place of those of a group of which no other check was to be carried
/// out.
inline std::vector<std::string> with_whole_groups(const std::vector<std::string_view>& ids,
                                                  const std::vector<CheckResult>& checks) {
    std::map<std::string, std::size_t> others;
    for (const auto& check : checks) {
        ++others[check_group(check.id)];
    }
    std::map<std::string, std::size_t> counts;
    for (const auto id : ids) {
        ++counts[check_group(id)];
    }
    std::vector<std::string> result;
    for (const auto id : ids) {
        const auto group = check_group(id);
        const bool is_whole = counts[group] > 1 && counts[group] == others[group];
        auto text = is_whole ? group + ".*" : std::string{id};
        if (result.empty() || result.back() != text) {
            result.push_back(std::move(text));
        }
    }
    return result;
}

inline void declare_also(Traits& traits, const NamedTrait& declaration) {
    const auto before = traits;
    declare(traits, declaration.name, declaration.value);
    trait::for_each([&](const auto& row) { grow(row, traits, before); });
}

} // namespace detail

TEST_TUNNEL_INLINE TextsOfPairs Report::notes() const {
    TextsOfPairs result;
    auto seen_by = detail::contradictions(pairs);
    for (const auto& entry : pairs) {
        std::map<std::string_view, std::vector<std::string_view>> not_applicable; // by the reason
        for (const auto& check : entry.checks) {
            for (const auto& note : check.notes) {
                const auto& ids = seen_by[note.text];
                detail::add_text(result,
                                 note.text + (ids.empty() ? "" : ", seen by " + joined(ids, ", ")),
                                 entry);
            }
            if (check.outcome == Outcome::not_applicable) {
                not_applicable[check.account].push_back(check.id);
            }
        }
        for (const auto& [reason, ids] : not_applicable) {
            detail::add_text(result,
                             fmt::format("{} {} not applicable: {}",
                                         joined(detail::with_whole_groups(ids, entry.checks), ", "),
                                         ids.size() == 1 ? "is" : "are", reason),
                             entry);
        }
    }
    return result;
}

TEST_TUNNEL_INLINE std::vector<NamedTrait> Report::undeclared() const {
    Traits found;
    for (const auto& entry : pairs) {
        for (const auto& check : entry.checks) {
            for (const auto& note : check.notes) {
                if (note.declaration) {
                    detail::declare_also(found, *note.declaration);
                }
            }
        }
    }
    return declared_traits(found);
}

TEST_TUNNEL_INLINE std::string Report::rate() const {
    std::size_t rounds = 0;
    std::set<std::uint64_t> seeds;
    for (const auto& entry : pairs) {
        rounds = std::max(rounds, entry.rounds);
        seeds.insert(entry.failed_seeds.begin(), entry.failed_seeds.end());
    }
    if (rounds < 2 && seeds.empty()) {
        return {};
    }
    constexpr double percent = 100;
    const auto rate = detail::rate_of(seeds.size(), rounds);
    auto result = fmt::format(
        "{} of {} rounds failed: {:.3g} %, with a confidence of 95 % between "
        "{:.3g} and {:.3g} %",
        seeds.size(), rounds, rate.observed * percent, rate.least * percent, rate.most * percent);
    constexpr std::size_t most_told = 20;
    std::vector<std::uint64_t> told{seeds.begin(), seeds.end()};
    const auto more = told.size() > most_told ? told.size() - most_told : 0;
    told.resize(told.size() - more);
    if (!told.empty()) {
        result += fmt::format("; seeds: {}", joined(told, ", "));
    }
    if (more > 0) {
        result += fmt::format(" and {} more", more);
    }
    return result;
}

TEST_TUNNEL_INLINE TextsOfPairs Report::failures(Outcome outcome) const {
    TextsOfPairs result;
    for (const auto& entry : pairs) {
        for (const auto& check : entry.checks) {
            if (check.outcome == outcome) {
                detail::add_text(result, check.id, entry);
            }
        }
    }
    return result;
}

TEST_TUNNEL_INLINE TunnelFailure::TunnelFailure(Report report)
    : Error{report.text()}, report_{std::make_shared<const Report>(std::move(report))} {}

} // namespace test_tunnel
