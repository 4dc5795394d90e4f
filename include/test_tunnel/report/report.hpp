#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/config/console_style.hpp"
#include "test_tunnel/config/level.hpp"
#include "test_tunnel/config/trait_names.hpp"
#include "test_tunnel/config/traits.hpp"
#include "test_tunnel/discovery/pairs.hpp"
#include "test_tunnel/process/resource_use.hpp"
#include "test_tunnel/report/soak.hpp" // IWYU pragma: export

namespace test_tunnel {

/// What has come of a check.
enum class Outcome {
    /// The tool did all that it demands.
    passed,
    /// The tool did something else: `CheckResult::account` says what.
    failed,
    /// Not tried, since another check has failed, or the run was interrupted.
    skipped,
    /// It does not concern a tool of this kind, or can't be done on this machine.
    not_applicable,
    /// The tool did something else, which it is known for (`Config::known_failures`). The result
    /// has all that a failure has.
    known_failure
};

/// Whether the tool did something else than the check demands.
constexpr bool is_failure(Outcome outcome) {
    return outcome == Outcome::failed || outcome == Outcome::known_failure;
}

/// Returns "passed", "FAILED", "skipped", "not applicable" or "known failure".
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
        case Outcome::known_failure:
            return "known failure";
    }
    return "unknown";
}

/// Who takes part in a pair.
enum class Party { client, tool, server };

/// Returns "client", "tool" or "server".
constexpr const char* text_of(Party party) {
    switch (party) {
        case Party::client:
            return "client";
        case Party::tool:
            return "tool";
        case Party::server:
            return "server";
    }
    return "unknown";
}

/// Which steps programs tell apart: what a step is called and what it expects is for readers only.
enum class StepKind {
    /// A step of a check's own.
    other,
    /// The client connects to the tool.
    connect,
    /// The tool does its part of the handshake.
    handshake,
    /// The tool connects to the server.
    accept,
    /// The tool's connection is looked at: where does it come from?
    source,
    /// A side has closed, and the other one waits for the end of the stream.
    end_of_stream
};

/// "other", "connect", "handshake", "accept", "source", "end of stream": how such a step is called.
constexpr const char* text_of(StepKind kind) {
    switch (kind) {
        case StepKind::connect:
            return "connect";
        case StepKind::handshake:
            return "handshake";
        case StepKind::accept:
            return "accept";
        case StepKind::source:
            return "source";
        case StepKind::end_of_stream:
            return "end of stream";
        case StepKind::other:
            break;
    }
    return "other";
}

/// What ended a run before its end.
enum class StopCause {
    /// Nothing did.
    none,
    /// The program under test is not there (ToolMissing).
    tool_missing,
    /// This machine, or this tool, lacks a pair that was asked for (PairsMissing).
    pairs_missing,
    /// This machine has no addresses, or none that reach each other (NoAddresses, NoCombinations).
    no_addresses,
    /// There is no private network for this user (PrivateNetworkUnavailable).
    no_private_network,
    /// A signal, or the end of the time for the whole run (Interrupted).
    interrupted,
    /// Another fault of the set-up, or an exception of a hook's own.
    other
};

/// Returns what kind of fault `error` is; never `StopCause::none`.
[[nodiscard]] StopCause stop_cause_of(const std::exception& error);

/// Something that was done with a pair, and when it began.
struct Step {
    /// In a word or two, as a failure names it: "end of stream".
    std::string name;
    /// What must come of it.
    std::string expected;
    /// Who acts.
    Party from = Party::tool;
    /// On whom; equal to `from` where nobody else has a part in it.
    Party to = Party::tool;
    /// How long after the check began.
    Duration begin{};
    /// What programs tell the step by.
    StepKind kind = StepKind::other;
};

/// Something about a tool that is worth knowing although it is no failure.
struct Note {
    /// The member of Traits that it is about; empty where there is none.
    std::string trait;
    /// One line for a reader.
    std::string text;
    /// What would declare it (`declare`); nothing where it is declared, or can't be.
    std::optional<NamedTrait> declaration{};
    /// The value of a trait that the tool has shown, as `declare` takes it; nothing where it has
    /// shown none.
    std::optional<NamedTrait> shown{};

    /// Whether both are about one trait, in the same words, and would declare the same.
    friend bool operator==(const Note& a, const Note& b) {
        return a.trait == b.trait && a.text == b.text && a.declaration == b.declaration;
    }
};

/// One check on one pair.
struct CheckResult {
    /// Stable from one version to the next: "hello".
    std::string id;
    /// What has come of it.
    Outcome outcome = Outcome::passed;
    /// The step at which it failed (`Step::name`). Empty where it is no failure (`is_failure`), and
    /// so are `expected` and `actual`.
    std::string step{};
    /// What kind of step that was.
    StepKind step_kind = StepKind::other;
    /// Why it failed; `none` where it did not.
    Cause cause = Cause::none;
    /// What ought to have come then.
    std::string expected{};
    /// What came instead; may have several lines.
    std::string actual{};
    /// The whole account of a failure; for any other outcome the reason, where there is one.
    std::string account{};
    /// What was observed and is no failure: deviations, declared or not.
    std::vector<Note> notes{};
    /// What the tool has shown of its traits, whether it is noted or not: each value once.
    std::vector<NamedTrait> shown{};
    /// What was done, in that order; in a failure the last step is the one that failed.
    std::vector<Step> steps{};
    /// How long it took, until the tool was seen to have survived it, or was stopped. What the
    /// check did ahead of all others (`Check::prepare`) does not count.
    Duration duration{};
    /// What the check is about, in one line (`Check::title`).
    std::string title{};
    /// Where it failed: the name of another pair on which it has failed in the same way, whose
    /// account tells the whole story. Empty where there was none before.
    std::string same_as{};

    /// What a reader is told of a failure: its account; two lines where `same_as` is not empty.
    [[nodiscard]] std::string told() const;
};

/// All checks on one pair.
struct PairResult {
    /// The pair, with the ports that the first tool had. A tool that was started again had others.
    Pair pair;
    /// The checks in the order in which they were run.
    std::vector<CheckResult> checks;
    /// How long it took, from the first step until the tool had ended.
    Duration duration{};
    /// How long the tool took from its start until it accepted its first connection. Nothing: it
    /// has accepted none.
    std::optional<Duration> start{};
    /// How long the tool took to end when it was told to, the first time that it was idle then.
    /// Nothing: it was not told to.
    std::optional<Duration> stop{};
    /// What the tool has used, as often as it was started: the CPU time of all, and the memory and
    /// the descriptors of those that had most. 0 for what the system did not tell.
    ResourceUse use{};
    /// The seed that the data was made from (`TestTunnel::seed`).
    std::uint64_t seed = 0;
    /// What came of testing one tool again and again; nothing where that was not asked for
    /// (`Config::soak`), or a check had failed before.
    std::optional<Soak> soak{};
    /// How often the pair was tested: `Config::rounds`, or fewer where the run ended before.
    std::size_t rounds = 1;
    /// The seeds of the rounds in which a check failed.
    std::vector<std::uint64_t> failed_seeds{};

    /// Whether a check passed, or is known to fail, no other one failed, and all were tried that
    /// should be.
    [[nodiscard]] bool passed() const;

    /// How many checks have this outcome.
    [[nodiscard]] std::size_t count(Outcome outcome) const;

    /// "passed: 34 checks, 912 ms", "FAILED: 2 of 34 checks, 1 not applicable, 3.2 s". A known
    /// failure counts as a check that was tried.
    [[nodiscard]] std::string text() const;
};

/// Each text with the names of the pairs that it is about.
using TextsOfPairs = std::vector<std::pair<std::string, std::vector<std::string>>>;

/// One run of a tool: plain data. `report/json.hpp`, `report/html.hpp` and `report/junit.hpp` write
/// it to be read by programs, in a browser and by CI systems.
struct Report {
    /// The tool: `TestTunnel::slug`.
    std::string slug;
    /// The pairs in the order in which they were tested.
    std::vector<PairResult> pairs;
    /// The seed that the data was made from (`Config::seed`).
    std::uint64_t seed = 0;
    /// The program under test: `ConfigProg::prog`.
    std::string program{};
    /// The version of the tool: `TestTunnel::version`.
    std::string version{};
    /// The command line of this process, by which the run can be made again; empty where the system
    /// can't tell.
    std::string command{};
    /// How thoroughly it was tested: `Config::level`.
    Level level = Level::standard;
    /// What the tool was declared to do its own way.
    Traits traits{};
    /// When the run began.
    std::chrono::system_clock::time_point began{};
    /// How long the run took, with the search for addresses.
    Duration duration{};
    /// The text of the error that ended the run before its end; empty where nothing did.
    std::string error{};
    /// What kind of error that was.
    StopCause stop_cause = StopCause::none;

    /// Whether there was a pair and all passed: a run that tested nothing has not passed, nor has
    /// one that did not come to its end.
    [[nodiscard]] bool passed() const;

    /// How many pairs passed.
    [[nodiscard]] std::size_t passed_pairs() const;

    /// How many checks have this outcome, on all pairs.
    [[nodiscard]] std::size_t count(Outcome outcome) const;

    /// What the tool has used: the CPU time of all pairs together, and the peaks of those where
    /// they were highest.
    [[nodiscard]] ResourceUse use() const;

    /// One line for all, then a table, one row a pair and one column a group of checks, with the
    /// time; the checks that failed, the slowest three, what the tool has used, and what was noted,
    /// each once, with the pairs where it was not so on all of them.
    [[nodiscard]] std::string summary(const ConsoleStyle& style = {}) const;

    /// The summary, then the account of every failure.
    [[nodiscard]] std::string text() const;

    /// What was noted, and what was not applicable and why: each text once, with its pairs. Where a
    /// tool has shown several values of one trait, each text ends with the checks that saw it.
    [[nodiscard]] TextsOfPairs notes() const;

    /// What would declare all that was noted as undeclared (see `declare`): one entry for each
    /// trait, in the order of Traits. A trait that is a list (`exit_statuses`, `accepts`) has all
    /// that was noted; any other one has what was noted last.
    [[nodiscard]] std::vector<NamedTrait> undeclared() const;

    /// How many rounds failed, where there was to be more than one; what that says of the rate at
    /// which the tool fails, and their seeds. Else empty, and where the only round so far passed.
    [[nodiscard]] std::string rate() const;

    /// The ids of the checks of which this has come, each once, with the pairs on which it did.
    [[nodiscard]] TextsOfPairs failures(Outcome outcome = Outcome::failed) const;
};

/// The tunnel did not do on every pair what a tunnel must do; the text is the report's.
class TunnelFailure : public Error {
public:
    /// `report` is of a run that has not passed; `what` is its `text`.
    explicit TunnelFailure(Report report);

    /// The report of the run, with the pairs that passed, too.
    [[nodiscard]] const Report& report() const noexcept { return *report_; }

private:
    // Shared: copying an exception must not throw.
    std::shared_ptr<const Report> report_;
};

} // namespace test_tunnel

#if TEST_TUNNEL_DEFINES
#include "test_tunnel/report/detail/report.ipp"  // IWYU pragma: export
#include "test_tunnel/report/detail/summary.ipp" // IWYU pragma: export
#endif
