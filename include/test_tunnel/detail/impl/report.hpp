#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../../report.hpp"
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
    return !pairs.empty() && passed_pairs() == pairs.size();
}

TEST_TUNNEL_INLINE std::size_t Report::passed_pairs() const {
    return static_cast<std::size_t>(std::count_if(
        pairs.begin(), pairs.end(), [](const PairResult& result) { return result.passed(); }));
}

TEST_TUNNEL_INLINE std::string Report::summary() const {
    auto result =
        fmt::format("{}: {} of {} combinations passed", slug, passed_pairs(), pairs.size());
    for (const auto& entry : pairs) {
        const auto& [proxy_listen, svc_listen] = entry.pair;
        result += fmt::format("\n  {}  {}  {} → {}, {} → {}", entry.pair.name(), entry.text(),
                              proxy_listen.client().address, proxy_listen.listen(),
                              svc_listen.client().address, svc_listen.listen());
    }
    for (const auto& [text, where] : notes()) {
        result += fmt::format(
            "\n  note: {}{}", text,
            where.size() == pairs.size() ? "" : fmt::format(" ({})", detail::joined(where, ", ")));
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

TEST_TUNNEL_INLINE std::vector<std::pair<std::string, std::vector<std::string>>> Report::notes()
    const {
    std::vector<std::pair<std::string, std::vector<std::string>>> result;
    for (const auto& entry : pairs) {
        const auto add = [&](const std::string& text) {
            auto known = std::find_if(result.begin(), result.end(),
                                      [&](const auto& other) { return other.first == text; });
            if (known == result.end()) {
                known = result.insert(result.end(), {text, {}});
            }
            if (known->second.empty() || known->second.back() != entry.pair.name()) {
                known->second.push_back(entry.pair.name());
            }
        };
        for (const auto& check : entry.checks) {
            for (const auto& note : check.notes) {
                add(note.text);
            }
            if (check.outcome == Outcome::not_applicable) {
                add(fmt::format("{} is not applicable: {}", check.id, check.account));
            }
        }
    }
    return result;
}

TEST_TUNNEL_INLINE TunnelFailure::TunnelFailure(Report report)
    : Error{report.text()}, report_{std::make_shared<const Report>(std::move(report))} {}

} // namespace test_tunnel
