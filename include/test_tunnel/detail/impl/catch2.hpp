#pragma once

// The adapter to Catch2; see ../../catch2.hpp.

#include <unistd.h>

#include <catch2/catch_session.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "../../catch2.hpp"
#include "../../checks.hpp"
#include "../../config.hpp"
#include "../../deadline.hpp"
#include "../../discovery.hpp"
#include "../../error.hpp"
#include "../../level.hpp"
#include "../../observer.hpp"
#include "../../private_network.hpp"
#include "../../process.hpp"
#include "../../report/console_style.hpp"
#include "../../report/files.hpp"
#include "../../report/progress.hpp"
#include "../../tunnel.hpp"
#include "../command_line.hpp"
#include "../find_program.hpp"
#include "../fmt.hpp"
#include "../inline.hpp"

namespace test_tunnel::catch2 {

namespace detail {

/// What the command line asked for. Catch2's test cases take no arguments: so this is one object a
/// process, written by `main` before the first of them runs.
struct Options {
    std::optional<std::string> prog;
    int offset = 0;
    bool verbose = false;
    std::string network;
    std::optional<std::string> level;
    std::vector<std::string> only;
    std::vector<std::string> except;
    std::vector<std::string> pairs;
    std::string pairs_missing; // why they can't be tested
    std::optional<std::uint64_t> seed;
    std::optional<Duration> idle;
    bool keep = false;
    ReportFiles::Options reports;
    std::shared_ptr<ReportFiles> files;
    bool has_failed = false;
    bool has_skipped = false;
    bool in_sections = false; // of check_all, which makes assertions of its own
};

inline Options& options() {
    static Options instance;
    return instance;
}

/// Learns what came of the test cases. Before Catch2 3.7.1 the exit status is the number of failed
/// assertions, and with four of them the one that says that all was skipped.
class Failures : public Catch::EventListenerBase {
public:
    using EventListenerBase::EventListenerBase;

    void testRunEnded(const Catch::TestRunStats& stats) override {
        options().has_failed = stats.totals.testCases.failed > 0;
        options().has_skipped = stats.totals.testCases.skipped > 0;
    }
};

/// What reads the value of an option: `act`, of which what it throws is told as wrong usage.
template <typename Act>
auto reader(Act act) {
    return [act = std::move(act)](const std::string& text) {
        try {
            act(text);
        } catch (const InvalidConfig& error) {
            return Catch::Clara::ParserResult::runtimeError(error.what());
        }
        return Catch::Clara::ParserResult::ok(Catch::Clara::ParseResultType::Matched);
    };
}

/// Why this machine can't test the pairs that are asked for; empty where it can.
inline std::string pairs_missing(const Config& config) {
    try {
        if (!config.pairs.empty()) {
            discover_pairs(config);
        }
    } catch (const PairsMissing& error) {
        return error.what();
    } catch (const SetupError&) { // NOLINT(bugprone-empty-catch): fails the test cases that need it
    }
    return {};
}

/// Makes of each combination that has passed an assertion, so that a test that passes is told from
/// one that asserts nothing, and a test of a combination that is not there a skipped one.
class Assertions : public Observer {
public:
    void pair_ended(const Report& report) override {
        for (const auto& entry : report.pairs) {
            if (entry.passed() && !options().in_sections) {
                SUCCEED(fmt::format("{} {}: passed", report.slug, entry.pair.name()));
            }
        }
        // Whoever runs a test while an exception is handled has that one here, too.
        const auto stopped_by = report.error.empty() ? nullptr : std::current_exception();
        if (stopped_by) {
            skip_where_pairs_are_missing(stopped_by);
        }
    }

private:
    static void skip_where_pairs_are_missing(const std::exception_ptr& stopped_by) {
        try {
            std::rethrow_exception(stopped_by);
        } catch (const PairsMissing& missing) {
            SKIP(missing.what());
        } catch (...) { // NOLINT(bugprone-empty-catch): goes on to the test
        }
    }
};

/// Catch2 runs a test case once for each of its sections: what is kept from one time to the next.
struct Progress {
    std::vector<Pair> pairs;
    std::map<std::string, PairResult> results;
    std::size_t told = 0;
};

/// While check_all runs a pair.
class InSections {
public:
    InSections() { options().in_sections = true; }
    InSections(const InSections&) = delete;
    InSections& operator=(const InSections&) = delete;
    ~InSections() { options().in_sections = false; }
};

/// Of the `check_all` of this test case and tunnel.
inline Progress& progress(const std::string& slug) {
    static std::map<std::string, Progress> all;
    return all[Catch::getResultCapture().getCurrentTestName() + '\n' + slug];
}

/// One assertion, at the caller's line.
inline void tell(const CheckResult& check, const std::source_location& where) {
    for (const auto& note : check.notes) {
        WARN(note.text);
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
                                      : std::string{check.account});
    handler.complete();
}

} // namespace detail

TEST_TUNNEL_INLINE ConfigProg config_for(const std::string& default_prog) {
    const auto& options = detail::options();
    ConfigProg config;
    config.offset = options.offset;
    config.verbose = options.verbose;
    config.prog = options.prog.value_or(default_prog);
    if (options.level) {
        config.level = parse_level(*options.level);
    }
    config.only = options.only;
    config.except = options.except;
    config.pairs = options.pairs;
    config.keep = options.keep;
    config.seed = options.seed;
    config.idle = options.idle.value_or(config.idle);
    config.console = console_style(STDERR_FILENO);
    show_progress(config);
    if (options.files) {
        config.observers.push_back(options.files);
    }
    config.observers.push_back(std::make_shared<detail::Assertions>()); // may leave by an exception
    try {
        test_tunnel::detail::find_program(config.prog, config.utf8_env);
    } catch (const ToolMissing& error) {
        if (options.prog) {
            throw;
        }
        SKIP(error.what());
    }
    if (!options.pairs_missing.empty()) {
        SKIP(options.pairs_missing);
    }
    return config;
}

TEST_TUNNEL_INLINE void check_all(TestTunnel& tunnel, const std::source_location& where) {
    const Catch::SourceLineInfo line{where.file_name(), where.line()};
    auto& progress = detail::progress(tunnel.slug());
    if (progress.pairs.empty()) {
        progress.pairs = tunnel.pairs();
    }
    const auto pairs = progress.pairs;
    const auto checks = select(tunnel.config(), tunnel.checks());
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
                result = progress.results.emplace(pair.name(), tunnel.run_pair(pair)).first;
            }
            const auto told = result->second.checks.at(i);
            if (++progress.told == pairs.size() * checks.size()) {
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

TEST_TUNNEL_INLINE int main(int argc, char** argv) {
    auto& options = detail::options();
    Catch::Session session;
    using Catch::Clara::Opt;
    // Given but empty is not the same as not given: no other program than was meant must be tested.
    const auto set_prog = detail::reader([&](const auto& prog) { options.prog = prog; });
    const auto set_level = detail::reader([&](const auto& level) {
        parse_level(level);
        options.level = level;
    });
    const auto add_pair =
        detail::reader([&](const auto& name) { options.pairs.push_back(parse_pair_name(name)); });
    const auto set_seed = detail::reader([&](const auto& text) {
        options.seed = test_tunnel::detail::parse_number<std::uint64_t>("--seed", text);
    });
    const auto set_idle = detail::reader(
        [&](const auto& text) { options.idle = test_tunnel::detail::parse_idle(text); });
    const auto set_timeout_scale = detail::reader(test_tunnel::detail::set_timeout_scale);
    bool list_pairs = false;
    bool list_checks = false;
    session.cli(
        session.cli() | Opt(set_prog, "program")["--prog"]("the program under test") |
        Opt(set_level, "level")["--level"]("hello, standard (the default) or strict") |
        Opt(options.only, "pattern")["--check"](
            "only checks whose id matches, as data.*; may be given more than once") |
        Opt(options.except, "pattern")["--not-check"]("no checks whose id matches") |
        Opt(Catch::Clara::accept_many, add_pair, "pair")["--pair"](
            "only this combination of address families, as 4-6; may be given more than "
            "once; skipped where this machine lacks one") |
        Opt(set_seed, "number")["--seed"]("from which all data is made") |
        Opt(set_idle,
            "seconds")["--idle"]("how long the check idle is silent at level strict (70)") |
        Opt(set_timeout_scale, "number")["--timeout-scale"]("multiplies all timeouts") |
        Opt(list_checks)["--list-tunnel-checks"]("list what a tunnel is tested for") |
        Opt(list_pairs)["--list-pairs"](
            "list the combinations of address families that this machine has") |
        Opt(options.offset, "number")["--offset"](
            "added to the first port tried; --offset=-100 where it is negative") |
        Opt(options.keep)["--keep"]("leave the files of a tool that has failed where they are") |
        Opt(options.verbose)["--verbose"]("log all details") |
        Opt(options.reports.json, "file")["--json"]("write a report for programs") |
        Opt(options.reports.html, "file")["--html"]("write a report for a browser") |
        Opt(options.network, "network")["--network"]("auto, private or host"));
    if (const int status = session.applyCommandLine(argc, argv); status != 0) {
        return status;
    }
    if (list_checks) {
        std::fputs(test_tunnel::detail::list_of_checks().c_str(), stdout);
        return 0;
    }
    const auto& data = session.configData();
    const bool runs_tests = !data.showHelp && !data.libIdentify && !data.listTests &&
                            !data.listTags && !data.listReporters && !data.listListeners;
    try {
        if (runs_tests) {
            options.files = std::make_shared<ReportFiles>(options.reports);
            // Inherited from whoever started the test, ignoring it would hide the end of the tools.
            std::signal(SIGCHLD, SIG_DFL);
            const auto network =
                enter_network(options.network.empty() ? network_mode_from_environment()
                                                      : parse_network_mode(options.network));
            stderr_logger()->info("the tests run in {}", network);
            Config config;
            config.offset = options.offset;
            config.pairs = options.pairs;
            if (list_pairs) {
                std::fputs(test_tunnel::detail::list_of_pairs(config).c_str(), stdout);
                return 0;
            }
            options.pairs_missing = detail::pairs_missing(config);
        }
    } catch (const std::exception& error) {
        stderr_logger()->error("{}", error.what());
        return 1;
    }
    const Catch::ListenerRegistrar<detail::Failures> failures{"test_tunnel"};
    constexpr int skipped = 4;
    int status = session.run();
    if (options.has_failed) {
        status = status == skipped ? 1 : status;
    } else if (status == 0 && options.has_skipped) {
        status = skipped; // Catch2's own only where all are
    }
    try {
        if (options.files) {
            options.files->write();
        }
    } catch (const std::exception& error) {
        stderr_logger()->error("{}", error.what());
        return status == 0 ? 1 : status;
    }
    return status;
}

} // namespace test_tunnel::catch2
