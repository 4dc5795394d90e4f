// Checks any tool that is given as a command line, without a line of C++:
//
//   check_command --handshake socks5 -- microsocks -i {listen.address} -p {listen.port}
//
// Nearly all of the library has a name on its command line. The only example that does without
// Catch2.

#include <unistd.h>
#include <test_tunnel/base/interruption.hpp>
#include <test_tunnel/config/console_style.hpp>
#include <test_tunnel/config/trait_names.hpp>
#include <test_tunnel/report/files.hpp>
#include <test_tunnel/report/progress.hpp>
#include <test_tunnel/run/command_line.hpp>
#include <test_tunnel/run/command_tunnel.hpp>
#include <test_tunnel/test_tunnel.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "advice.hpp"
#include "options.hpp"
#include "tls.hpp"
#include "usage.hpp"

using namespace check_command;

namespace {

enum Status { passed = 0, failed = 1, wrong_usage = 2, skipped = 77 }; // 77 is Automake's

void enter_network(const RunSettings& settings) {
    const auto network = test_tunnel::enter_network(
        settings.network ? *settings.network : network_mode_from_environment());
    settings.config.log->info("the test runs in {}", network);
}

int list(const Request& request) {
    std::string text;
    if (request.list == "--help") {
        text = usage();
    } else if (request.list == "--version") {
        text = fmt::format("check_command of test-tunnel {}.{}.{}\n", TEST_TUNNEL_VERSION_MAJOR,
                           TEST_TUNNEL_VERSION_MINOR, TEST_TUNNEL_VERSION_PATCH);
    } else if (request.list == "--list-traits") {
        for (const auto& [name, values] : trait_names()) {
            text += fmt::format("{:<24} {}\n", name, values);
        }
    } else if (request.list == "--list-pairs") {
        enter_network(request.run);
        text = list_of_pairs(request.run.config);
    } else {
        text = list_of_checks();
    }
    std::fputs(text.c_str(), stdout);
    return passed;
}

/// " --trait reset=as_end --trait …": what declares all that was noted as undeclared.
std::string declarations(const Report& report) {
    std::string result;
    for (const auto& [name, value] : report.undeclared()) {
        result += fmt::format(" --trait {}={}", name, value);
    }
    return result;
}

/// Whether a combination has been tested.
bool was_begun(const std::vector<Report>& reports) {
    return std::any_of(reports.begin(), reports.end(),
                       [](const Report& report) { return !report.pairs.empty(); });
}

bool any_failed(const std::vector<Report>& reports) {
    return std::any_of(reports.begin(), reports.end(), [](const Report& report) {
        return std::any_of(report.pairs.begin(), report.pairs.end(),
                           [](const PairResult& pair) { return pair.count(Outcome::failed) > 0; });
    });
}

void complain(const std::exception& error) {
    std::fputs(fmt::format("check_command: {}\n", error.what()).c_str(), stderr);
}

int test(const Request& request) {
    if (request.tool.command.empty()) {
        throw InvalidConfig{"no command was given; check_command --help says how"};
    }
    ConfigProg config;
    static_cast<Config&>(config) = request.run.config;
    config.console = console_style(STDERR_FILENO);
    config.dialect = Dialect::options;
    show_progress(config);
    const auto files = std::make_shared<ReportFiles>(request.run.reports);
    config.observers.push_back(files);
    const auto made = make_tunnel(config, request);
    auto& tunnel = *made;
    const auto source = about_source(request, tunnel);
    select(config, tunnel.checks(),
           tunnel.transports()); // what is wrong is told before what is missing
    const Interruption interruption{request.run.time_limit};
    // Where the run has not begun, no observer was told.
    const auto end_early = [&](const std::exception& reason) {
        if (files->reports().empty()) {
            Report report{tunnel.slug(), {}, tunnel.seed()};
            report.program = tunnel.config().prog;
            report.error = reason.what();
            report.stop_cause = stop_cause_of(reason);
            files->pair_ended(report);
        }
    };
    const auto run = [&] {
        try {
            enter_network(request.run);
            tunnel.require_programs();
            for (const auto& text : missing(tunnel)) {
                config.log->warn(text);
            }
            if (!source.empty()) {
                config.log->info(source);
            }
            const auto report = tunnel.run_all();
            if (const auto families = about_families(report); !families.empty()) {
                config.log->info(families);
            }
            if (const auto options = declarations(report); !options.empty()) {
                config.log->info("what was noted is declared by{}", options);
            }
            return report.passed() ? passed : failed;
        } catch (const std::exception& error) {
            end_early(error);
            const auto cause = stop_cause_of(error);
            const bool is_missing = cause != StopCause::other && cause != StopCause::interrupted;
            if (is_missing && !was_begun(files->reports())) {
                config.log->warn("skipped: {}", error.what());
                return skipped;
            }
            complain(error);
            return any_failed(files->reports()) ? failed : wrong_usage;
        }
    };
    auto status = run();
    try {
        files->write();
    } catch (const std::exception& error) {
        complain(error);
        status = status == failed ? failed : wrong_usage;
    }
    Interruption::end_by_signal();
    return status;
}

} // namespace

int main(int argc, char** argv) {
    try {
        const auto request = read_arguments({argv + std::min(argc, 1), argv + argc});
        // Inherited from whoever has started this, ignoring it would hide the end of the tool.
        std::signal(SIGCHLD, SIG_DFL);
        return request.list.empty() ? test(request) : list(request);
    } catch (const std::exception& error) {
        complain(error);
        return wrong_usage;
    }
}
