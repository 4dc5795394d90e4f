#pragma once

// The command line: config_for and main.

#include <unistd.h>

#include <catch2/catch_session.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "test_tunnel/base/detail/fmt.hpp"
#include "test_tunnel/base/detail/inline.hpp"
#include "test_tunnel/base/error.hpp"
#include "test_tunnel/base/interruption.hpp"
#include "test_tunnel/base/log.hpp"
#include "test_tunnel/catch2.hpp"
#include "test_tunnel/catch2/detail/options.hpp"
#include "test_tunnel/config/config.hpp"
#include "test_tunnel/config/console_style.hpp"
#include "test_tunnel/config/observer.hpp"
#include "test_tunnel/discovery/pairs.hpp"
#include "test_tunnel/private_network/private_network.hpp"
#include "test_tunnel/process/find_program.hpp"
#include "test_tunnel/report/files.hpp"
#include "test_tunnel/report/progress.hpp"
#include "test_tunnel/report/report.hpp"
#include "test_tunnel/run/command_line.hpp"

namespace test_tunnel::catch2 {

namespace detail {

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

/// Makes an assertion of each combination that has passed, so that a test that passes is told from
/// one that asserts nothing, and skips a test of a combination that is not there.
class Assertions : public Observer {
public:
    void pair_ended(const Report& report) override {
        for (const auto& entry : report.pairs) {
            if (entry.passed() && !options().in_sections) {
                SUCCEED(fmt::format("{} {}: passed", report.slug, entry.pair.name()));
            }
        }
        if (report.stop_cause == StopCause::pairs_missing) {
            SKIP(report.error);
        }
    }
};

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

/// Adds an option of a run to the command line. What is wrong with its value is told as wrong
/// usage.
inline void add_option(Catch::Clara::Parser& parser, const RunOption& option) {
    using Catch::Clara::Opt;
    using Catch::Clara::ParserResult;
    auto& settings = options().run;
    const auto set = [&settings, act = option.set](const std::string& text) {
        try {
            act(settings, text);
        } catch (const InvalidConfig& error) {
            return ParserResult::runtimeError(error.what());
        }
        return ParserResult::ok(Catch::Clara::ParseResultType::Matched);
    };
    const auto set_flag = [set](bool /*given*/) { return set({}); };
    auto added = *option.value == '\0' ? Opt(set_flag)
                 : option.may_repeat   ? Opt(Catch::Clara::accept_many, set, option.value)
                                       : Opt(set, option.value);
    parser |= added[option.name](option.help);
}

} // namespace detail

TEST_TUNNEL_INLINE ConfigProg config_for(const std::string& default_prog) {
    auto& options = detail::options();
    // Here, since Catch2 takes the signals when a test case begins.
    if (options.interruption) {
        Interruption::throw_if_any(); // in an earlier test case
        options.interruption->take_signals();
    } else {
        options.interruption.emplace(options.run.time_limit);
    }
    ConfigProg config;
    static_cast<Config&>(config) = options.run.config;
    config.log = stderr_logger();
    config.prog = options.prog.value_or(default_prog);
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

TEST_TUNNEL_INLINE int main(int argc, char** argv) {
    auto& options = detail::options();
    const auto& config = options.run.config;
    Catch::Session session;
    using Catch::Clara::Opt;
    // Given but empty is not the same as not given: no other program than was meant must be tested.
    const auto set_prog = [&](const std::string& prog) {
        options.prog = prog;
        return Catch::Clara::ParserResult::ok(Catch::Clara::ParseResultType::Matched);
    };
    bool list_pairs = false;
    bool list_checks = false;
    auto parser = session.cli() | Opt(set_prog, "program")["--prog"]("the program under test") |
                  Opt(list_checks)["--list-tunnel-checks"]("lists what a tunnel is tested for") |
                  Opt(list_pairs)["--list-pairs"](
                      "lists the combinations of address families that this machine has");
    for (const auto& option : run_options()) {
        detail::add_option(parser, option);
    }
    session.cli(parser);
    if (const int status = session.applyCommandLine(argc, argv); status != 0) {
        return status;
    }
    if (list_checks) {
        std::fputs(list_of_checks().c_str(), stdout);
        return 0;
    }
    const auto& data = session.configData();
    const bool runs_tests = !data.showHelp && !data.libIdentify && !data.listTests &&
                            !data.listTags && !data.listReporters && !data.listListeners;
    try {
        if (runs_tests) {
            options.files = std::make_shared<ReportFiles>(options.run.reports);
            // Inherited from whoever started the test, ignoring it would hide the end of the tools.
            std::signal(SIGCHLD, SIG_DFL);
            const auto network = enter_network(
                options.run.network ? *options.run.network : network_mode_from_environment());
            stderr_logger()->info("the tests run in {}", network);
            if (list_pairs) {
                std::fputs(list_of_pairs(config).c_str(), stdout);
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
    Interruption::end_by_signal();
    return status;
}

} // namespace test_tunnel::catch2
