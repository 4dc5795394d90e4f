#pragma once

// The adapter to Catch2; see ../../catch2.hpp.

#include <fmt/core.h>
#include <unistd.h>

#include <catch2/catch_session.hpp>
#include <catch2/catch_test_macros.hpp>
#include <charconv>
#include <chrono>
#include <cmath>
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
#include <system_error>
#include <utility>
#include <vector>

#include "../../catch2.hpp"
#include "../../checks.hpp"
#include "../../config.hpp"
#include "../../error.hpp"
#include "../../level.hpp"
#include "../../private_network.hpp"
#include "../../process.hpp"
#include "../../report/console_style.hpp"
#include "../../report/files.hpp"
#include "../../report/progress.hpp"
#include "../../tunnel.hpp"
#include "../find_program.hpp"
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
    std::optional<std::uint64_t> seed;
    std::optional<double> idle_seconds;
    ReportFiles::Options reports;
    std::shared_ptr<ReportFiles> files;
};

inline Options& options() {
    static Options instance;
    return instance;
}

/// Catch2 runs a test case once for each of its sections: what is kept from one time to the next.
struct Progress {
    std::vector<Pair> pairs;
    std::map<std::string, PairResult> results;
    std::size_t told = 0;
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
    config.seed = options.seed;
    if (options.idle_seconds) {
        config.idle = std::chrono::duration_cast<Duration>(
            std::chrono::duration<double>{*options.idle_seconds});
    }
    config.console = console_style(STDERR_FILENO);
    show_progress(config);
    if (options.files) {
        config.observers.push_back(options.files);
    }
    try {
        test_tunnel::detail::find_program(config.prog, config.utf8_env);
    } catch (const ToolMissing& error) {
        if (options.prog) {
            throw;
        }
        SKIP(error.what());
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
    const auto set_prog = [&options](const std::string& prog) {
        options.prog = prog;
        return Catch::Clara::ParserResult::ok(Catch::Clara::ParseResultType::Matched);
    };
    const auto set_level = [&options](const std::string& level) {
        try {
            parse_level(level);
        } catch (const InvalidConfig& error) {
            return Catch::Clara::ParserResult::runtimeError(error.what());
        }
        options.level = level;
        return Catch::Clara::ParserResult::ok(Catch::Clara::ParseResultType::Matched);
    };
    const auto set_seed = [&options](const std::string& text) {
        std::uint64_t seed = 0;
        const auto* const end = text.data() + text.size();
        const auto [rest, error] = std::from_chars(text.data(), end, seed);
        if (error != std::errc{} || rest != end) {
            return Catch::Clara::ParserResult::runtimeError("'" + text + "' is no seed");
        }
        options.seed = seed;
        return Catch::Clara::ParserResult::ok(Catch::Clara::ParseResultType::Matched);
    };
    const auto set_idle = [&options](double seconds) {
        constexpr double a_day = 86400;
        if (std::isnan(seconds) || seconds < 0 || seconds > a_day) {
            return Catch::Clara::ParserResult::runtimeError("--idle takes 0 to 86400 seconds");
        }
        options.idle_seconds = seconds;
        return Catch::Clara::ParserResult::ok(Catch::Clara::ParseResultType::Matched);
    };
    bool list_checks = false;
    session.cli(session.cli() | Opt(set_prog, "program")["--prog"]("the program under test") |
                Opt(set_level, "level")["--level"]("hello, standard (the default) or strict") |
                Opt(options.only, "pattern")["--check"](
                    "only checks whose id matches, as data.*; may be given more than once") |
                Opt(options.except, "pattern")["--not-check"]("no checks whose id matches") |
                Opt(set_seed, "number")["--seed"]("from which all data is made") |
                Opt(set_idle,
                    "seconds")["--idle"]("how long the check idle is silent at level strict (70)") |
                Opt(list_checks)["--list-tunnel-checks"]("list what a tunnel is tested for") |
                Opt(options.offset, "number")["--offset"](
                    "added to the first port tried; --offset=-100 where it is negative") |
                Opt(options.verbose)["--verbose"]("log all details") |
                Opt(options.reports.json, "file")["--json"]("write a report for programs") |
                Opt(options.reports.html, "file")["--html"]("write a report for a browser") |
                Opt(options.network, "network")["--network"]("auto, private or host"));
    if (const int status = session.applyCommandLine(argc, argv); status != 0) {
        return status;
    }
    if (list_checks) {
        for (const auto& check : checks()) {
            std::puts(fmt::format("{:<24} {:<9} {}", check.id, text_of(check.level), check.title)
                          .c_str());
        }
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
        }
    } catch (const std::exception& error) {
        stderr_logger()->error("{}", error.what());
        return 1;
    }
    const int status = session.run();
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
