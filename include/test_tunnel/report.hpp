#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "deadline.hpp"
#include "detail/inline.hpp"
#include "discovery/pairs.hpp"
#include "error.hpp"

namespace test_tunnel {

enum class Outcome {
    passed,
    failed,
    /// Not tried, since another check has failed.
    skipped,
    /// It does not concern a tool of this kind, or can't be done on this machine.
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

/// Something about a tool that is worth knowing although it is no failure.
struct Note {
    /// The member of Traits that it is about; empty where there is none.
    std::string trait;
    std::string text;

    friend bool operator==(const Note&, const Note&) = default;
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
    /// What was observed: a deviation, declared or not.
    std::vector<Note> notes{};
    /// What was done, in that order; of a failure, the last one is the one that failed.
    std::vector<Step> steps{};
    Duration duration{};
};

/// All checks on one pair.
struct PairResult {
    Pair pair;
    /// In the order in which they were run.
    std::vector<CheckResult> checks;
    /// From the first step until the tool had ended.
    Duration duration{};

    /// Whether a check passed and none failed.
    [[nodiscard]] bool passed() const;

    /// How many checks have this outcome.
    [[nodiscard]] std::size_t count(Outcome outcome) const;

    /// "passed: 34 checks, 912 ms", "FAILED: 2 of 34 checks, 1 not applicable, 3.2 s".
    [[nodiscard]] std::string text() const;
};

/// One run of a tool: plain data.
struct Report {
    /// The tool: `TestTunnel::slug`.
    std::string slug;
    std::vector<PairResult> pairs;
    /// From what the data was made (`Config::seed`).
    std::uint64_t seed = 0;

    /// Whether there was a pair and all passed: a run that tested nothing has not passed.
    [[nodiscard]] bool passed() const;

    [[nodiscard]] std::size_t passed_pairs() const;

    /// One line for all, then one a pair, "client → tool, tool → server", then what was noted, each
    /// once, with the pairs where it was not noted on all of them.
    [[nodiscard]] std::string summary() const;

    /// The summary, then the account of every failure.
    [[nodiscard]] std::string text() const;

    /// What was noted, and what was not applicable and why, each text once, and on which pairs.
    [[nodiscard]] std::vector<std::pair<std::string, std::vector<std::string>>> notes() const;
};

/// The tunnel did not do on every pair what a tunnel must do; the text is the report's.
class TunnelFailure : public Error {
public:
    explicit TunnelFailure(Report report);

    [[nodiscard]] const Report& report() const noexcept { return *report_; }

private:
    // Shared: copying an exception must not throw.
    std::shared_ptr<const Report> report_;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "detail/impl/report.hpp" // IWYU pragma: export
#endif
