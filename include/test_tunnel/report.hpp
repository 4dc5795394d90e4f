#pragma once

#include <chrono>
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
#include "level.hpp"
#include "report/console_style.hpp"
#include "traits.hpp"

namespace test_tunnel {

/// What has come of a check.
enum class Outcome {
    /// The tool did all that it demands.
    passed,
    /// It did not: `CheckResult::account` says why.
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
    /// In a word or two, as a failure names it: "end of stream".
    std::string name;
    /// What must come of it.
    std::string expected;
    /// Who acts.
    Party from = Party::tool;
    /// On whom; the same as `from` where nobody else has a part in it.
    Party to = Party::tool;
    /// Since the check began.
    Duration begin{};
};

/// Something about a tool that is worth knowing although it is no failure.
struct Note {
    /// The member of Traits that it is about; empty where there is none.
    std::string trait;
    /// One line for a reader.
    std::string text;

    /// About the same trait, in the same words.
    friend bool operator==(const Note&, const Note&) = default;
};

/// One check on one pair.
struct CheckResult {
    /// Stable from one version to the next: "hello".
    std::string id;
    /// What has come of it.
    Outcome outcome = Outcome::passed;
    /// The step at which it failed (`Step::name`); empty where it did not, as the next two are.
    std::string step{};
    /// What ought to have come then.
    std::string expected{};
    /// What came instead; may have several lines.
    std::string actual{};
    /// The whole account of a failure, else the reason, where there is one.
    std::string account{};
    /// What was observed: a deviation, declared or not.
    std::vector<Note> notes{};
    /// What was done, in that order; of a failure, the last one is the one that failed.
    std::vector<Step> steps{};
    /// Until the tool was seen to have survived it, or was stopped; without what the check did
    /// ahead of all (`Check::prepare`).
    Duration duration{};
    /// What the check is about, in one line (`Check::title`).
    std::string title{};
};

/// All checks on one pair.
struct PairResult {
    /// Which one: with the ports of its first tool, whatever others it took.
    Pair pair;
    /// In the order in which they were run.
    std::vector<CheckResult> checks;
    /// From the first step until the tool had ended.
    Duration duration{};
    /// From what the data was made (`TestTunnel::seed`).
    std::uint64_t seed = 0;

    /// Whether a check passed and none failed.
    [[nodiscard]] bool passed() const;

    /// How many checks have this outcome.
    [[nodiscard]] std::size_t count(Outcome outcome) const;

    /// "passed: 34 checks, 912 ms", "FAILED: 2 of 34 checks, 1 not applicable, 3.2 s".
    [[nodiscard]] std::string text() const;
};

/// Texts, and the names of the pairs that they are about.
using TextsOfPairs = std::vector<std::pair<std::string, std::vector<std::string>>>;

/// One run of a tool: plain data. `report/json.hpp` and `report/html.hpp` write it to be read by
/// programs and in a browser.
struct Report {
    /// The tool: `TestTunnel::slug`.
    std::string slug;
    /// In the order in which they were tested.
    std::vector<PairResult> pairs;
    /// From what the data was made (`Config::seed`).
    std::uint64_t seed = 0;
    /// The program under test: `ConfigProg::prog`.
    std::string program{};
    /// How thoroughly it was tested: `Config::level`.
    Level level = Level::standard;
    /// What the tool was declared to do its own way.
    Traits traits{};
    /// When, by the clock on the wall.
    std::chrono::system_clock::time_point began{};
    /// All of it, the search for addresses too.
    Duration duration{};
    /// What ended the run before its end, a SetupError; empty where nothing did.
    std::string error{};

    /// Whether there was a pair and all passed: a run that tested nothing has not passed, nor has
    /// one that did not come to its end.
    [[nodiscard]] bool passed() const;

    /// How many pairs passed.
    [[nodiscard]] std::size_t passed_pairs() const;

    /// How many checks have this outcome, on all pairs.
    [[nodiscard]] std::size_t count(Outcome outcome) const;

    /// One line for all, then a table, one row a pair and one column a group of checks, with the
    /// time; the checks that failed, the slowest three, and what was noted, each once, with the
    /// pairs where it was not so on all of them.
    [[nodiscard]] std::string summary(const ConsoleStyle& style = {}) const;

    /// The summary, then the account of every failure.
    [[nodiscard]] std::string text() const;

    /// What was noted, and what was not applicable and why, each text once, and on which pairs.
    [[nodiscard]] TextsOfPairs notes() const;

    /// The ids of the checks that failed, each once, and on which pairs.
    [[nodiscard]] TextsOfPairs failures() const;
};

/// The tunnel did not do on every pair what a tunnel must do; the text is the report's.
class TunnelFailure : public Error {
public:
    /// `report` is of a run that has not passed; `what` is its `text`.
    explicit TunnelFailure(Report report);

    /// The whole of it, the pairs that passed too.
    [[nodiscard]] const Report& report() const noexcept { return *report_; }

private:
    // Shared: copying an exception must not throw.
    std::shared_ptr<const Report> report_;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "detail/impl/report.hpp"         // IWYU pragma: export
#include "detail/impl/report_summary.hpp" // IWYU pragma: export
#endif
