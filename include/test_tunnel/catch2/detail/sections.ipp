#pragma once

// check_all: a section for each pair, and in it one for each check.

#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <map>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/catch2.hpp"
#include "test_tunnel/catch2/detail/options.hpp"
#include "test_tunnel/discovery/pairs.hpp"
#include "test_tunnel/report/report.hpp"
#include "test_tunnel/run/check.hpp"
#include "test_tunnel/run/tunnel.hpp"

namespace test_tunnel::catch2 {

namespace detail {

/// What is kept from one time to the next: Catch2 runs a test case once for each of its sections.
struct Progress {
    std::vector<Pair> pairs;
    std::map<std::string, PairResult> results;
    std::size_t told = 0;
    bool has_failed = false;
};

/// Lives while check_all runs a pair: then nobody else makes assertions.
class InSections {
public:
    InSections() { options().in_sections = true; }
    InSections(const InSections&) = delete;
    InSections& operator=(const InSections&) = delete;
    ~InSections() { options().in_sections = false; }
};

/// The progress of the `check_all` for this test case and tunnel.
inline Progress& progress(const std::string& slug) {
    static std::map<std::string, Progress> all;
    return all[Catch::getResultCapture().getCurrentTestName() + '\n' + slug];
}

/// Tests `pair`; with `Config::jobs`, those that come after it at the same time. Returns its
/// result, or the end where there is none.
inline auto run_up_to(TestTunnel& tunnel, const Pair& pair, Progress& progress) {
    if (progress.has_failed && tunnel.config().on_failure == OnFailure::stop) {
        return progress.results.find(pair.name());
    }
    std::vector<Pair> some;
    for (const auto& other : progress.pairs) {
        const bool is_wanted = other.name() == pair.name() || tunnel.config().jobs > 1;
        if (is_wanted && !progress.results.contains(other.name())) {
            some.push_back(other);
        }
    }
    for (auto& result : tunnel.run_pairs(some)) {
        auto name = result.pair.name();
        progress.has_failed = progress.has_failed || !result.passed();
        progress.results.emplace(std::move(name), std::move(result));
    }
    return progress.results.find(pair.name());
}

/// Makes one assertion of a check, at the caller's line.
inline void tell(const CheckResult& check, const std::source_location& where) {
    for (const auto& note : check.notes) {
        WARN(note.text);
    }
    if (check.outcome == Outcome::known_failure) {
        WARN(text_of(check.outcome) << ": " << check.told());
    }
    // What is skipped is so because something else has failed: the test case as a whole is not.
    const auto result = check.outcome == Outcome::failed    ? Catch::ResultWas::ExplicitFailure
                        : check.outcome == Outcome::skipped ? Catch::ResultWas::ExplicitSkip
                                                            : Catch::ResultWas::Ok;
    const bool has_reason = result == Catch::ResultWas::Ok && !check.account.empty();
    Catch::AssertionHandler handler{
        Catch::StringRef{"tunnel"}, Catch::SourceLineInfo{where.file_name(), where.line()},
        Catch::StringRef{}, Catch::ResultDisposition::ContinueOnFailure};
    handler.handleMessage(result, has_reason
                                      ? fmt::format("{}: {}", text_of(check.outcome), check.account)
                                      : check.told());
    handler.complete();
}

} // namespace detail

TEST_TUNNEL_INLINE void check_all(TestTunnel& tunnel, const std::source_location& where) {
    const Catch::SourceLineInfo line{where.file_name(), where.line()};
    auto& progress = detail::progress(tunnel.slug());
    if (progress.pairs.empty()) {
        progress.pairs = tunnel.pairs();
    }
    const auto pairs = progress.pairs;
    const auto checks = select(tunnel.config(), tunnel.checks(), tunnel.transports());
    for (const auto& pair : pairs) {
        const Catch::Section pair_section{Catch::SectionInfo{line, pair.name()}};
        if (!pair_section) {
            continue;
        }
        for (std::size_t i = 0; i < checks.size(); ++i) {
            const Catch::Section section{Catch::SectionInfo{line, std::string{checks[i].id}}};
            if (!section) {
                continue;
            }
            auto result = progress.results.find(pair.name());
            if (result == progress.results.end()) {
                const detail::InSections guard;
                result = detail::run_up_to(tunnel, pair, progress);
            }
            const bool is_last = ++progress.told == pairs.size() * checks.size();
            if (result == progress.results.end()) { // OnFailure::stop
                if (is_last) {
                    progress = {};
                }
                SKIP("not tried, since a check has failed on another combination");
            }
            const auto told = result->second.checks.at(i);
            if (is_last) {
                progress = {};
            }
            detail::tell(told, where);
        }
    }
}

TEST_TUNNEL_INLINE void check_all(TestTunnel&& tunnel, // NOLINT(*-rvalue-reference-param-not-moved)
                                  const std::source_location& where) {
    check_all(tunnel, where);
}

} // namespace test_tunnel::catch2
