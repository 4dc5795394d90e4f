#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "deadline.hpp"
#include "detail/text.hpp"
#include "discovery/pairs.hpp"
#include "error.hpp"

namespace test_tunnel {

enum class Outcome {
    passed,
    failed,
    /// For a reason that lies outside the tool.
    skipped,
    /// Excused by a declared trait.
    not_applicable
};

/// "passed", "FAILED", "skipped", "not applicable".
constexpr const char* text_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::passed:
            return "passed";
        case Outcome::failed:
            return "FAILED";
        case Outcome::skipped:
            return "skipped";
        case Outcome::not_applicable:
            return "not applicable";
    }
    return "unknown";
}

/// Who takes part in a pair.
enum class Party { client, tool, server };

/// Something that was done with a pair, and when it began.
struct Step {
    std::string name;
    /// What must come of it.
    std::string expected;
    /// Who acts on whom; the same where nobody else has a part in it.
    Party from = Party::tool;
    Party to = Party::tool;
    /// Since the first step of the pair.
    Duration begin{};
};

/// One check on one pair.
struct CheckResult {
    /// Stable from one version to the next: "hello".
    std::string id;
    Outcome outcome = Outcome::passed;
    /// Where it failed: the step, and what was expected against what came.
    std::string step{};
    std::string expected{};
    std::string actual{};
    /// The whole account of a failure, else the reason, where there is one.
    std::string account{};
    Duration duration{};
};

/// All checks on one pair.
struct PairResult {
    Pair pair;
    std::vector<CheckResult> checks;
    /// What is worth knowing of a pair that passed: a declared deviation, an odd exit status.
    std::vector<std::string> notes;
    /// What was done, in that order; of a failed pair, the last one before the stop is the one that
    /// failed.
    std::vector<Step> steps;
    /// From the first step until the tool had ended.
    Duration duration{};

    /// Whether a check passed and none failed.
    [[nodiscard]] bool passed() const { return has(Outcome::passed) && !has(Outcome::failed); }

    /// Whether there is a check with this outcome.
    [[nodiscard]] bool has(Outcome outcome) const {
        return std::any_of(checks.begin(), checks.end(),
                           [&](const CheckResult& check) { return check.outcome == outcome; });
    }
};

/// One run of a tool: plain data.
struct Report {
    /// The tool: `TestTunnel::slug`.
    std::string slug;
    std::vector<PairResult> pairs;

    /// Whether there was a pair and all passed: a run that tested nothing has not passed.
    [[nodiscard]] bool passed() const { return !pairs.empty() && passed_pairs() == pairs.size(); }

    [[nodiscard]] std::size_t passed_pairs() const {
        return static_cast<std::size_t>(std::count_if(
            pairs.begin(), pairs.end(), [](const PairResult& result) { return result.passed(); }));
    }

    /// One line for all, then one a pair: "client → tool, tool → server".
    [[nodiscard]] std::string summary() const {
        auto result =
            fmt::format("{}: {} of {} combinations passed", slug, passed_pairs(), pairs.size());
        for (const auto& entry : pairs) {
            const auto& [proxy_listen, svc_listen] = entry.pair;
            result +=
                fmt::format("\n  {}  {}  {:>7}  {} → {}, {} → {}", entry.pair.name(),
                            entry.passed() ? "passed" : "FAILED", detail::text_of(entry.duration),
                            proxy_listen.client().address, proxy_listen.listen(),
                            svc_listen.client().address, svc_listen.listen());
            for (const auto& note : entry.notes) {
                result += fmt::format("\n       note: {}", note);
            }
        }
        return result;
    }

    /// The summary, then the account of every failure.
    [[nodiscard]] std::string text() const {
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
};

/// The tunnel did not do on every pair what a tunnel must do; the text is the report's.
class TunnelFailure : public Error {
public:
    explicit TunnelFailure(Report report)
        : Error{report.text()}, report_{std::make_shared<const Report>(std::move(report))} {}

    [[nodiscard]] const Report& report() const noexcept { return *report_; }

private:
    // Shared: copying an exception must not throw.
    std::shared_ptr<const Report> report_;
};

} // namespace test_tunnel
