#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/deadline.hpp"
#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/log.hpp"
#include "test_tunnel/report/report.hpp"
#include "test_tunnel/run/detail/judge.hpp"

namespace test_tunnel::detail {

/// What has been written down of one check.
struct Entries {
    Clock::time_point began = Clock::now();
    std::vector<Step> steps{};
    std::vector<Note> notes{};
    /// What the tool has shown of its traits, each value once.
    std::vector<NamedTrait> shown{};
    /// What the failure looks like to somebody who has seen many; empty where nobody said.
    std::string hint{};
};

/// Where the steps and notes of a pair's checks are written down, one check after the other. Each
/// step goes to the log, too, at `debug`.
class Journal {
public:
    explicit Journal(std::shared_ptr<Logger> log) : log_{std::move(log)} {}

    /// A new page: a check begins, which the log calls `heading`.
    void begin(std::string heading) {
        heading_ = std::move(heading);
        entries_ = {};
    }

    /// What happens from now on.
    void step(StepKind kind, std::string name, std::string expected, Party from, Party to) {
        if (log_->should_log(spdlog::level::debug)) {
            log_->debug(fmt::format("{}: {}: {}", heading_, name, expected));
        }
        entries_.hint.clear(); // was of a failure that somebody has got over
        entries_.steps.push_back({.name = std::move(name),
                                  .expected = std::move(expected),
                                  .from = from,
                                  .to = to,
                                  .begin = Clock::now() - entries_.began,
                                  .kind = kind});
    }

    /// What the last step expects.
    [[nodiscard]] std::string expected() const {
        return entries_.steps.empty() ? "the check passes" : entries_.steps.back().expected;
    }

    /// Leaves out all steps but the first `count`.
    void forget_steps(std::size_t count) {
        entries_.steps.resize(std::min(count, entries_.steps.size()));
    }

    /// Something that is no failure. Each text is written down once for a pair.
    void note(Note note) {
        if (told_.insert(note.text).second) {
            entries_.notes.push_back(std::move(note));
        }
    }

    /// Writes down what is to be noted of a trait; throws Unexpected where it is a failure.
    void take(const Verdict& verdict) {
        auto& shown = entries_.shown;
        if (std::find(shown.begin(), shown.end(), verdict.shown) == shown.end()) {
            shown.push_back(verdict.shown);
        }
        if (verdict.note) {
            note(*verdict.note);
        }
        if (!verdict.failure.empty()) {
            throw Unexpected{verdict.expected, verdict.failure};
        }
    }

    /// What the failure that comes next looks like.
    void hint(std::string text) { entries_.hint = std::move(text); }

    /// The page as it is.
    [[nodiscard]] const Entries& entries() const noexcept { return entries_; }

    /// Tears the page out.
    [[nodiscard]] Entries take() { return std::exchange(entries_, {}); }

    /// Goes on with a page that was torn out.
    void resume(Entries entries) { entries_ = std::move(entries); }

    /// A page that was torn out is thrown away: what it notes may be noted again.
    void forget(const Entries& entries) {
        for (const auto& note : entries.notes) {
            told_.erase(note.text);
        }
    }

private:
    std::shared_ptr<Logger> log_;
    std::string heading_;
    Entries entries_;
    std::set<std::string> told_;
};

} // namespace test_tunnel::detail
